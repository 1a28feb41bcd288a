"""Finds TensorFlow's checkpoints and says what is in them: in the V2 format (`.index` and `.data-…` files) and in the
single file of early TensorFlow; from TensorFlow 1.15 on Python 3.7 on.

Both formats have checksums, which TensorFlow compares whenever it reads: of each tensor in V2, of each block of the
file in V1, and of the index in both. Only a few bytes that say nothing have none.
"""

import os
import re

import tensorflow.compat.v1 as tf
from google.protobuf import message

from nets import error_text

# What follows the prefix of a checkpoint in the names of its files.
_FILE_SUFFIX = re.compile(r'\.(index|meta|data-\d{5}-of-\d{5})$')

_READ_ERRORS = (tf.errors.OpError, LookupError, RuntimeError, ValueError, UnicodeDecodeError)

_DECODE_ERRORS = (message.DecodeError, TypeError)

# How files of weights begin that others write.
_OTHERS = ((re.compile(b'\x89HDF\r\n'), 'HDF5, as Keras writes it'),
           (re.compile(b'PK\x03\x04'), 'zip, as torch, Keras and NumPy write it'),
           (re.compile(b'\x80'), 'pickle, as torch writes it'),
           (re.compile(b'....\0\0\0\0{', re.DOTALL), 'safetensors'))

# Where `tf.train.Checkpoint` keeps which object a tensor belongs to.
OBJECT_GRAPH = '_CHECKPOINTABLE_OBJECT_GRAPH'


def find_checkpoint(path):
    """Finds the checkpoint that a path means.

    Args:
        path: A checkpoint's prefix (`dir/model.ckpt-100`), any one of its files, or a directory. In a
            directory the `checkpoint` file says which is the newest; without one there has to be exactly one
            checkpoint.

    Returns:
        The prefix, a string; for a checkpoint in the V1 format it is the path of the file itself.

    Raises:
        ValueError: Nothing is there, or several are and none is named as the newest, or it is a file of others.
    """
    path = str(path)
    try:
        path.encode('utf-8')
    except UnicodeEncodeError:
        raise ValueError('The path {!a} is no text in UTF-8, which TensorFlow needs; rename it.'.format(path)) from None
    if tf.gfile.IsDirectory(path):
        return _newest_in(path)
    prefix = prefix_of(path)
    for candidate in (path, prefix):
        if tf.gfile.Exists(candidate + '.index') or (candidate == path == prefix and tf.gfile.Exists(path)):
            if not tf.gfile.Exists(candidate + '.index'):
                _check_kind(candidate)
            return candidate
    if tf.gfile.Exists(path):
        raise ValueError('The checkpoint {} is incomplete: {} is missing.'.format(prefix, prefix + '.index'))
    raise ValueError(f'There is no checkpoint at {prefix}: neither {prefix}.index nor a file or directory of '
                     'that name exists.')


def _check_kind(path):
    """Raises a ValueError for a file of weights that has to be converted first."""
    with tf.gfile.GFile(path, 'rb') as file:
        head = file.read(9)
    for begin, kind in _OTHERS:
        if begin.match(head):
            raise ValueError('{0} is no checkpoint of TensorFlow but a file of weights ({1}). Convert it: nets convert '
                             '{0} NAME.ckpt --network NETWORK; nets inspect {0} tells which networks it fits.'
                             .format(path, kind))


def prefix_of(path):
    """The prefix of a checkpoint, from that or from the name of one of its files."""
    return _FILE_SUFFIX.sub('', path)


def read_shapes(path):
    """Reads what a checkpoint holds, without the values.

    Args:
        path: The prefix of a checkpoint in either format.

    Returns:
        A dict from name to (shape as a tuple of ints, `tf.DType`).

    Raises:
        ValueError: The file is damaged, incomplete or no checkpoint.
    """
    held = open_reader(path)
    try:
        shapes, types = held.get_variable_to_shape_map(), held.get_variable_to_dtype_map()
    except _READ_ERRORS as error:
        raise ValueError(damaged(path, getattr(error, 'message', None) or str(error))) from error
    if tf.gfile.Exists(path + '.index') and not tf.gfile.Glob(path + '.data-*'):
        raise ValueError(damaged(path, f'there is no file {path}.data-…'))
    return {name: (tuple(shape), types[name]) for name, shape in shapes.items()}


def read_step(path):
    """Reads the step at which a checkpoint was written.

    Args:
        path: The prefix of a checkpoint in either format.

    Returns:
        An int, or None if the checkpoint holds no single number of the name `global_step`.

    Raises:
        ValueError: The file is damaged, incomplete or no checkpoint.
    """
    shape, _ = read_shapes(path).get('global_step', (None, None))
    if shape != ():
        return None
    return int(read_tensor(open_reader(path), path, 'global_step'))


def open_reader(path):
    """A reader of TensorFlow's for the prefix of a checkpoint; see `read_shapes` for the errors."""
    try:
        return tf.train.NewCheckpointReader(path)
    except _READ_ERRORS as error:
        raise ValueError(damaged(path, getattr(error, 'message', None) or str(error))) from error


def read_tensor(reader, path, name):
    """The value of a tensor.

    Args:
        reader: Of `open_reader`.
        path: Where it reads, for the error.
        name: Name of the tensor in the checkpoint.

    Returns:
        A NumPy array.

    Raises:
        ValueError: The file is damaged or incomplete.
    """
    try:
        return reader.get_tensor(name)
    except _READ_ERRORS as error:
        raise ValueError(damaged(path, getattr(error, 'message', None) or str(error))) from error


def names_of_objects(path, held):
    """The names that variables had in their program, for a checkpoint that `tf.train.Checkpoint` wrote.

    Args:
        path: The prefix of a checkpoint.
        held: What `read_shapes` says of it.

    Returns:
        A dict from name in the checkpoint to name; empty for the checkpoints of `tf.train.Saver`, and without those
        variables that have no name or share one.

    Raises:
        ValueError: The file is damaged.
    """
    if OBJECT_GRAPH not in held:
        return {}
    from tensorflow.core.protobuf import trackable_object_graph_pb2
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    try:
        graph.ParseFromString(read_tensor(open_reader(path), path, OBJECT_GRAPH))
    except _DECODE_ERRORS as error:
        raise ValueError(damaged(path, str(error))) from error
    names = {attribute.checkpoint_key: attribute.full_name
             for node in graph.nodes for attribute in node.attributes
             if attribute.full_name and attribute.checkpoint_key in held}
    taken = list(names.values()) + list(held)
    return {key: name for key, name in names.items() if taken.count(name) == 1}


def _newest_in(directory):
    """The prefix of the newest checkpoint of a directory; see `find_checkpoint`."""
    newest = tf.train.latest_checkpoint(directory)
    if newest:
        return newest
    files = tf.gfile.ListDirectory(directory)
    prefixes = sorted({_FILE_SUFFIX.sub('', name) for name in files if name.endswith('.index')}
                      | {name for name in files if name.endswith('.ckpt')})
    if len(prefixes) == 1:
        return os.path.join(directory, prefixes[0])
    if prefixes:
        raise ValueError('{} holds {} checkpoints and no usable file named "checkpoint" that says which is '
                         'the newest. Name one of them: {}.'
                         .format(directory, len(prefixes), ', '.join(prefixes[:20])))
    state = tf.train.get_checkpoint_state(directory)
    if state and state.model_checkpoint_path:
        raise ValueError('The checkpoint {} that {} names as the newest is gone. Name another one, or a '
                         'directory that holds one.'
                         .format(state.model_checkpoint_path, os.path.join(directory, 'checkpoint')))
    raise ValueError(f'The directory {directory} holds no checkpoint (no file that ends in .index or .ckpt).')


def damaged(path, reason):
    """The message for files that cannot be read."""
    first_line = error_text.first_telling_line(reason, 'nothing more')
    return (f'The checkpoint {path} cannot be read; it is damaged, incomplete, or no TensorFlow checkpoint. '
            f'Copy it again or use another one. TensorFlow says: {first_line}')
