"""Builds the distribution `tf1-nets`, whose only top-level package is `nets`."""

import re

from setuptools import find_packages, setup


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


setup(
    name='tf1-nets',
    version=re.search(r"__version__ = '(.+)'", read('nets/__init__.py')).group(1),
    description="Slim's residual networks on today's TensorFlow, exact against TensorFlow 1.15",
    long_description=read('README.md'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['nets', 'nets.*']),
    python_requires='>=3.10',
    install_requires=[
        'tensorflow>=2.16,<3',
        'tf-slim>=1.1,<2',
        'numpy>=1.26,<3',
        'absl-py>=1.4',  # flags of the scripts; TensorFlow's own choice
        'pillow>=10,<14',  # PNG files with palettes, which TensorFlow reads as colours only
        'tqdm>=4.60,<5',  # progress bars
    ],
    extras_require={
        'torch': ['torch>=2.1,<3'],  # files of PyTorch, and the proofs against it
        'safetensors': ['safetensors>=0.4,<1'],
        'onnx': ['onnx>=1.16,<2', 'onnxruntime>=1.18,<2'],
        'parquet': ['pyarrow>=15,<27'],
        'demo': ['scikit-learn>=1.4,<2'],  # holds the data set `digits`
        'test': ['pytest>=8,<10', 'pytest-xdist>=3.5,<4', 'ruff>=0.6,<1', 'scikit-learn>=1.4,<2',
                 'safetensors>=0.4,<1', 'pyarrow>=15,<27',
                 'onnx>=1.16,<2', 'onnxruntime>=1.18,<2'],
    },
    entry_points={'console_scripts': ['nets = nets.cli.main:main']},
    classifiers=[
        'Intended Audience :: Science/Research',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
