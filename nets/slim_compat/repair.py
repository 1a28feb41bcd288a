"""Gives tf-slim's modules the TensorFlow names that they look for and no longer find.

A module of tf-slim reaches TensorFlow through module objects in its globals (`ops`, `array_ops`, …). Where such a
TensorFlow module lacks a name, the global is replaced by an overlay: a module that adds the missing names and hands
on everything else. TensorFlow's own modules stay as they are, and other users of them see no change.
"""

import functools
import importlib
import pkgutil
import sys
import types

import tensorflow.compat.v1 as tf
import tf_slim

from nets.slim_compat.batch_norm import BatchNormalization

# Private module of TensorFlow -> names that tf-slim takes from it, and where they are today.
_MOVED_NAMES = {
    'tensorflow.python.framework.ops': {'Tensor': tf.Tensor, 'IndexedSlices': tf.IndexedSlices},
    'tensorflow.python.ops.array_ops': {'stack': tf.stack, 'unstack': tf.unstack},
    'tensorflow.python.ops.control_flow_ops': {
        'Assert': tf.Assert, 'case': tf.case, 'cond': tf.cond, 'while_loop': tf.while_loop},
    'tensorflow.python.ops.variable_scope': {
        'variable': tf.Variable,
        'disable_resource_variables': tf.disable_resource_variables,
        'enable_resource_variables': tf.enable_resource_variables,
        'resource_variables_enabled': tf.resource_variables_enabled},
    'tensorflow.python.ops.variables': {'VariableV1': tf.Variable},
}
# Of these modules tf-slim uses layer classes through `apply`, which warns of its own age at every call.
_LAYER_MODULES = ('base', 'convolutional', 'core', 'normalization', 'pooling')
_LAYER_PREFIX = 'tensorflow.python.layers.'
_TESTS = '_test'


class _Overlay(types.ModuleType):
    """A stand-in for `module` with some names of its own; it resolves all others there, when they are asked for."""

    def __init__(self, module, names):
        super().__init__(module.__name__)
        self.__dict__.update(names)
        self.__dict__['_module'] = module

    def __getattr__(self, name):
        return getattr(self._module, name)


class _LayerOverlay(_Overlay):
    """An overlay whose layer classes are called where tf-slim says `apply`."""

    def __getattr__(self, name):
        value = super().__getattr__(name)
        if isinstance(value, type) and hasattr(value, 'apply'):
            value = type(value.__name__, (value,), {'apply': value.__call__})
            self.__dict__[name] = value
        return value


def _needs_repair():
    """Whether this TensorFlow lacks what tf-slim needs; TensorFlow 1.15 does not."""
    normalization = importlib.import_module(_LAYER_PREFIX + 'normalization')
    return 'BatchNormalization' not in vars(normalization)


@functools.lru_cache(maxsize=None)
def _overlay(name):
    """The overlay of TensorFlow's module of this name, or None where it has all that tf-slim takes from it."""
    module = importlib.import_module(name)
    if name.startswith(_LAYER_PREFIX):
        own = {'BatchNormalization': BatchNormalization} if name.endswith('.normalization') else {}
        return _LayerOverlay(module, own)
    missing = {key: value for key, value in _MOVED_NAMES[name].items() if not hasattr(module, key)}
    return _Overlay(module, missing) if missing else None


def repair_module(module):
    """Puts overlays in place of the TensorFlow modules among a module's globals. Doing it twice does no more.

    Args:
      module: A module written against TensorFlow 1 in tf-slim's way.
    """
    names = set(_MOVED_NAMES) | {_LAYER_PREFIX + name for name in _LAYER_MODULES}
    for key, value in list(vars(module).items()):
        if type(value) is types.ModuleType and value.__name__ in names:
            overlay = _overlay(value.__name__)
            if overlay is not None:
                setattr(module, key, overlay)


def apply():
    """Repairs tf-slim in place, all of its modules; does nothing where it works by itself, or was repaired."""
    if not _needs_repair():
        return
    for info in pkgutil.walk_packages(tf_slim.__path__, tf_slim.__name__ + '.'):
        if not info.name.endswith(_TESTS):
            importlib.import_module(info.name)
    for name, module in list(sys.modules.items()):
        if name.startswith(tf_slim.__name__ + '.') and not name.endswith(_TESTS):
            repair_module(module)
