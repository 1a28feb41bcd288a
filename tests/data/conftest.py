"""Real image files made from scikit-learn's photos, and a way to run a `tf.data.Dataset` to its values."""

import importlib.util
import io
import os
import pathlib

import numpy as np
import pytest
import sklearn
import tensorflow.compat.v1 as tf
from PIL import Image

from nets.data import datasets, pipeline, preprocessing

PHOTOS = pathlib.Path(sklearn.__file__).parent / 'datasets' / 'images'


@pytest.fixture(autouse=True)
def graph():
    """A fresh graph for every test."""
    with tf.Graph().as_default() as fresh:
        yield fresh


@pytest.fixture(scope='session')
def goldens():
    """The module that reads the golden files."""
    path = pathlib.Path(__file__).parents[1] / 'goldens' / 'fill.py'
    spec = importlib.util.spec_from_file_location('goldens_fill', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def photo_file():
    """A function from the name of a photo of scikit-learn to the bytes of its JPEG file."""
    return lambda name: (PHOTOS / name).read_bytes()


@pytest.fixture(scope='session')
def photo():
    """A function from a size to a small part of a real photo, uint8 `[height, width, 3]`."""
    whole = Image.open(PHOTOS / 'china.jpg').convert('RGB')

    def crop(height, width, left=0):
        return np.asarray(whole.resize((64 + left + width, 64 + height)))[40:40 + height, left:left + width]

    return crop


@pytest.fixture(scope='session')
def encode():
    """A function from pixels, or a PIL image, to the bytes of a file of the given format."""
    def encode_as(image, image_format='PNG', **options):
        buffer = io.BytesIO()
        (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(
            buffer, image_format, **options)
        return buffer.getvalue()

    return encode_as


@pytest.fixture
def write_folder(tmp_path, photo, encode):
    """A function that writes a folder of images, `{'CLASS/FILE': bytes or None for a small photo}`."""
    def write(files, folder='images'):
        for index, (path, content) in enumerate(files.items()):
            target = tmp_path / folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            image_format = 'PNG' if path.lower().endswith('png') else 'JPEG'
            target.write_bytes(encode(photo(12, 10 + index % 5, index), image_format)
                               if content is None else content)
        return os.fspath(tmp_path / folder)

    return write


@pytest.fixture
def collect():
    """A function that runs a `tf.data.Dataset` of the default graph: a list of all or `count` elements."""
    def run(dataset, count=None):
        iterator = tf.data.make_initializable_iterator(dataset)
        element = iterator.get_next()
        values = []
        with tf.Session() as session:
            session.run(iterator.initializer)
            while count is None or len(values) < count:
                try:
                    values.append(session.run(element))
                except tf.errors.OutOfRangeError:
                    break
        return values

    return run


@pytest.fixture
def folder_of(write_folder):
    """A function from a number of images (and corrupt files by index) to a data set and the corrupt paths."""
    def make(count, corrupt=None, num_classes=2):
        files = {f'test/{index % num_classes}/{index // num_classes:03d}.jpg': (corrupt or {}).get(index)
                 for index in range(count)}
        folder = write_folder(files)
        bad = [os.path.join(folder, path) for path, content in files.items() if content is not None]
        return datasets.get_dataset('image_folder', 'test', folder), sorted(bad)

    return make


@pytest.fixture(scope='session')
def make_batches():
    """A function that makes batches of images of 8x8 pixels."""
    def make(dataset, is_training, batch_size=4, name='cifar', seed=0, share=None, **options):
        preprocess = preprocessing.get_preprocessing(name, is_training)
        share = (share or pipeline.Share(seed)) if is_training else None
        return pipeline.batches(dataset, preprocess, 8, 8, batch_size, share, **options)

    return make


@pytest.fixture(scope='session')
def flat_names():
    """A function from batches to the names of their examples, without blank ones."""
    return lambda values: [name.decode() for batch in values for name in batch['name'][batch['mask']]]
