"""Gives tf-slim's modules the TensorFlow names that they look for and no longer find.

A module of tf-slim reaches TensorFlow through module objects among its globals (`ops`, `array_ops`, …). Where
such a module of TensorFlow does not suit tf-slim, an overlay takes its place there. TensorFlow's own modules stay
as they are.
"""

import importlib
import pkgutil
import sys
import types

import tf_slim

from nets.slim_compat import overlays

_TESTS = '_test'


def needs_repair():
    """Whether this TensorFlow lacks what tf-slim needs; TensorFlow 1.15 does not."""
    normalization = importlib.import_module('tensorflow.python.layers.normalization')
    return 'BatchNormalization' not in vars(normalization)


def repair_module(module):
    """Puts overlays in place of the TensorFlow modules among a module's globals; see `apply` for where it does not.

    Doing it twice does no more than once.

    Args:
      module: A module written against TensorFlow 1 in tf-slim's way.
    """
    if not needs_repair():
        return
    for key, value in list(vars(module).items()):
        if isinstance(value, types.ModuleType) and not isinstance(value, overlays.Overlay):
            overlay = overlays.overlay(value.__name__)
            if overlay is not None:
                setattr(module, key, overlay)


def apply():
    """Repairs tf-slim in place, all of its modules; does nothing where it works by itself, or was repaired."""
    if not needs_repair():
        return
    for info in pkgutil.walk_packages(tf_slim.__path__, tf_slim.__name__ + '.'):
        if not info.name.endswith(_TESTS):
            importlib.import_module(info.name)
    for name, module in list(sys.modules.items()):
        if name.startswith(tf_slim.__name__ + '.') and not name.endswith(_TESTS):
            repair_module(module)
    variables = sys.modules['tf_slim.ops.variables']
    if not isinstance(variables.tf, overlays.Overlay):
        variables.tf = overlays.checkpoint_overlay()
