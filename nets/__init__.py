"""Slim's residual networks on today's TensorFlow, exact against TensorFlow 1.15.

Submodules load on first access (`nets.resnet_v1`, `nets.nets_factory`, …), so that importing the package itself
costs nothing.
"""

import importlib

__version__ = '0.1.0'

_SUBMODULES = ('applications', 'atomic_file', 'checkpoints', 'cli', 'complexity', 'convolution', 'data', 'dense',
               'error_text', 'inference', 'initializers', 'layers', 'nets_factory', 'recompute', 'resnet',
               'resnet_keras', 'resnet_network', 'resnet_nvidia', 'resnet_small', 'resnet_utils', 'resnet_v1',
               'resnet_v15', 'resnet_v1_beta', 'resnet_v2', 'resnext', 'segmentation', 'slim_compat', 'training',
               'units')
# Classes that users reach from here, and where they are.
_CLASSES = {'FeatureExtractor': 'inference.extractor'}


def __getattr__(name):
    if name in _SUBMODULES:
        return importlib.import_module('{}.{}'.format(__name__, name))
    if name in _CLASSES:
        return getattr(importlib.import_module('{}.{}'.format(__name__, _CLASSES[name])), name)
    raise AttributeError('module {!r} has no attribute {!r}'.format(__name__, name))


def __dir__():
    return sorted(list(globals()) + list(_SUBMODULES) + list(_CLASSES))
