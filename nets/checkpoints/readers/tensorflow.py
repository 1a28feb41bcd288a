"""Reads TensorFlow's checkpoints and SavedModels. TensorFlow compares the checksum of all that it reads."""

import collections
import os

import numpy as np

from nets.checkpoints import tensorflow_files
from nets.checkpoints.readers import base


class _Checkpoint(base.Weights):
    """See `open_checkpoint`."""

    def __init__(self, format_, path, files, shapes, keys):
        super().__init__(format_, path, files, shapes)
        self._keys = keys  # names under which TensorFlow has them
        self._reader = tensorflow_files.open_reader(path)
        step = next((name for name in ('global_step', 'save_counter') if self.shapes.get(name, ((1,),))[0] == ()), None)
        self.step = int(self.read(step)) if step else None

    def _read(self, name):
        return np.asarray(tensorflow_files.read_tensor(self._reader, self.path, self._keys[name]))


def is_saved_model(path):
    """Whether a path is the directory of a SavedModel, or the file in it that makes it one."""
    directory = os.path.dirname(path) if os.path.basename(path).startswith('saved_model.pb') else path
    return any(os.path.isfile(os.path.join(directory, name)) for name in ('saved_model.pb', 'saved_model.pbtxt'))


def open_saved_model(path):
    """Opens the variables of a SavedModel; see `open_checkpoint`."""
    directory = os.path.dirname(path) if os.path.isfile(path) else path
    prefix = os.path.join(directory, 'variables', 'variables')
    if not os.path.isfile(prefix + '.index'):
        raise ValueError(f'The SavedModel {directory} has no variables (no file {prefix}.index); its weights may be '
                         'constants of the graph, as in a frozen model.')
    graph = [os.path.join(directory, name) for name in ('saved_model.pb', 'saved_model.pbtxt')]
    return _open(prefix, 'SavedModel', [name for name in graph if os.path.isfile(name)])


def open_checkpoint(prefix):
    """Opens a checkpoint.

    Args:
        prefix: As `tensorflow_files.find_checkpoint` returns it.

    Returns:
        A `base.Weights`. The variables of a checkpoint of objects (`tf.train.Checkpoint`) have the names that they had
        in their program, where it says them.

    Raises:
        ValueError: It is damaged or incomplete.
    """
    return _open(prefix, 'tensorflow V2' if os.path.isfile(prefix + '.index') else 'tensorflow V1', [])


def _open(prefix, format_, files):
    held = tensorflow_files.read_shapes(prefix)
    names = tensorflow_files.names_of_objects(prefix, held)
    shapes = collections.OrderedDict((names.get(key, key), (held[key][0], held[key][1].name)) for key in sorted(held)
                                     if key != tensorflow_files.OBJECT_GRAPH)
    keys = {names.get(key, key): key for key in held}
    directory, stem = os.path.split(prefix)
    parts = [prefix] if format_ == 'tensorflow V1' else sorted(
        os.path.join(directory, name) for name in os.listdir(directory or '.')
        if name == stem + '.index' or name.startswith(stem + '.data-'))
    return _Checkpoint(format_, prefix, files + parts, shapes, keys)
