"""Stand-ins for TensorFlow's modules that have what tf-slim looks for.

An overlay adds the names that a module has lost and hands on everything else; the module itself stays as it is,
and other users of it see no change.
"""

import functools
import importlib
import types

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.util import tf_decorator

from nets.slim_compat.batch_norm import BatchNormalization

_PYTHON = 'tensorflow.python.'
# Module of TensorFlow -> names that tf-slim takes from it, and where they are today.
_MOVED_NAMES = {
    'framework.ops': {'Tensor': tf.Tensor, 'IndexedSlices': tf.IndexedSlices},
    'layers.normalization': {'BatchNormalization': BatchNormalization},
    'ops.array_ops': {'stack': tf.stack, 'unstack': tf.unstack},
    'ops.control_flow_ops': {
        'Assert': tf.Assert, 'case': tf.case, 'cond': tf.cond, 'while_loop': tf.while_loop},
    'ops.variable_scope': {
        'variable': tf.Variable,
        'disable_resource_variables': tf.disable_resource_variables,
        'enable_resource_variables': tf.enable_resource_variables,
        'resource_variables_enabled': tf.resource_variables_enabled},
    'ops.variables': {'VariableV1': tf.Variable},
}
# Module -> functions of it that work and log at their first call that they are deprecated.
_AGED_NAMES = {
    'ops.logging_ops': ('Print',),
    'ops.math_ops': ('div', 'to_int64'),
    'ops.nn': ('softmax_cross_entropy_with_logits',),
    'ops.script_ops': ('py_func',),
    'ops.standard_ops': ('to_float', 'to_int64'),
}
# Module that logs that it has moved -> where it is.
_MOVED_MODULES = {'training.checkpoint_management': 'checkpoint.checkpoint_management'}
# Modules whose layers tf-slim uses through `apply`, which warns at every call that it is deprecated.
_LAYER_MODULES = ('layers.base', 'layers.convolutional', 'layers.core', 'layers.normalization', 'layers.pooling')
_SUPERVISOR_MODULE = 'training.supervisor'


class Overlay(types.ModuleType):
    """A stand-in for `module` with some names of its own; it looks up all others there when they are asked for.
    """

    def __init__(self, module, names):
        super().__init__(module.__name__)
        self.__dict__.update(names)
        self.__dict__['_module'] = module

    def __getattr__(self, name):
        return getattr(self._module, name)


class _LayerOverlay(Overlay):
    """An overlay whose layers are called where tf-slim says `apply`."""

    def __getattr__(self, name):
        value = super().__getattr__(name)
        if isinstance(value, type) and hasattr(value, 'apply'):
            value = type(value.__name__, (value,), {'apply': value.__call__})
            self.__dict__[name] = value
        return value

    def flatten(self, inputs):
        """The function of this name, which warns of itself."""
        return self.Flatten().apply(inputs)


class _SliceableArray(np.ndarray):
    """An array that takes a list of slices for an index, as NumPy's did before 1.23."""

    def __getitem__(self, key):
        return super().__getitem__(tuple(key) if isinstance(key, list) else key)


class _CheckpointReader:
    """A `tf.train.NewCheckpointReader` that reads arrays which `slim.assign_from_checkpoint` can cut to parts."""

    def __init__(self, path):
        self._reader = tf.train.NewCheckpointReader(path)

    def __getattr__(self, name):
        return getattr(self._reader, name)

    def get_tensor(self, name):
        return np.asarray(self._reader.get_tensor(name)).view(_SliceableArray)


@functools.lru_cache(maxsize=None)
def overlay(name):
    """The overlay of TensorFlow's module of this name; None where tf-slim gets along with the module."""
    name = name[len(_PYTHON):] if name.startswith(_PYTHON) else None
    if name in _MOVED_MODULES:
        return importlib.import_module(_PYTHON + _MOVED_MODULES[name])
    if name not in _OVERLAID:
        return None
    module = importlib.import_module(_PYTHON + name)
    names = {key: value for key, value in _MOVED_NAMES.get(name, {}).items() if key not in vars(module)}
    names.update((key, tf_decorator.unwrap(getattr(module, key))[1]) for key in _AGED_NAMES.get(name, ()))
    if name == _SUPERVISOR_MODULE:
        names['Supervisor'] = _quiet_supervisor(module.Supervisor)
    return (_LayerOverlay if name in _LAYER_MODULES else Overlay)(module, names)


def checkpoint_overlay():
    """The overlay of `tf` for `tf_slim.ops.variables`."""
    return Overlay(tf, {'train': Overlay(tf.train, {'NewCheckpointReader': _CheckpointReader})})


def _quiet_supervisor(supervisor):
    """A supervisor that neither logs that it is deprecated nor writes to its summaries after closing them."""

    class Supervisor(supervisor):
        __init__ = tf_decorator.unwrap(supervisor.__init__)[1]
        _summaries_closed = False

        def stop(self, threads=None, close_summary_writer=True, ignore_live_threads=False):
            close = close_summary_writer and not self._summaries_closed
            self._summaries_closed = self._summaries_closed or close_summary_writer
            super().stop(threads, close, ignore_live_threads)

    return Supervisor


_OVERLAID = {*_MOVED_NAMES, *_AGED_NAMES, *_LAYER_MODULES, _SUPERVISOR_MODULE}
