"""The one way in which weights get from a checkpoint into a graph.

Training, evaluation and everything later restore through `restore_fn`: it compares names, shapes and types
*before* anything is read, reports every difference at once together with the likely cause, and only then
hands out a function that loads the values in one `tf.train.Saver` operation. It reads both formats of
TensorFlow, the V2 one (`.index` and `.data-…` files) and the single file of early TensorFlow, and runs from
TensorFlow 1.15 on Python 3.7 on.
"""

import collections
import os
import re

import tensorflow.compat.v1 as tf

from nets.checkpoints import mismatch

AVERAGE_SUFFIX = '/ExponentialMovingAverage'

# What follows the prefix of a checkpoint in the names of its files.
_FILE_SUFFIX = re.compile(r'\.(index|meta|data-\d{5}-of-\d{5})$')

# Lines of TensorFlow's messages that say nothing.
_ERROR_HEADINGS = ('', 'Graph execution error:')
_READ_ERRORS = (tf.errors.OpError, LookupError, RuntimeError, ValueError, UnicodeDecodeError)


class Restorer:
    """Loads a checkpoint into variables when called with a session.

    Attributes:
        path: The checkpoint's prefix, a string.
        restored: Ordered dict from the name in the checkpoint to the variable it goes to.
        excluded: Names of the variables that an exclusion left out.
        missing: Names of the variables that the checkpoint does not hold (only with `ignore_missing`).
        unused: Sorted names in the checkpoint that no variable takes.
    """

    def __init__(self, path, restored, excluded, missing, unused):
        self.path = path
        self.restored = restored
        self.excluded = excluded
        self.missing = missing
        self.unused = unused
        self._saver = tf.train.Saver(restored) if restored else None

    def __call__(self, session):
        """Assigns the values.

        Args:
            session: A `tf.Session` on the graph of the variables.

        Raises:
            ValueError: The checkpoint's data is damaged, incomplete or gone.
        """
        if self._saver is None:
            return
        try:
            # Saver.restore would list files first and wrap every error into advice that does not apply here.
            saver_def = self._saver.as_saver_def()
            session.run(saver_def.restore_op_name, {saver_def.filename_tensor_name: self.path})
        except tf.errors.OpError as error:
            raise ValueError(_damaged(self.path, error.message)) from error


def restore_fn(checkpoint_path, variables, exclude_scopes=(), ignore_missing=False, moving_averages=False):
    """Plans the restoring of variables and checks that it can work.

    Args:
        checkpoint_path: A checkpoint's prefix, one of its files, or a directory (see `find_checkpoint`).
        variables: The variables to restore: a list, or a dict from the name in the checkpoint to the
            variable.
        exclude_scopes: Scopes whose variables keep their values, as full names from the root:
            `resnet_v1_50/logits` leaves out `resnet_v1_50/logits/weights` but not
            `resnet_v1_50/logits2/weights`.
        ignore_missing: Whether variables that the checkpoint does not hold keep their values. A variable of
            another shape is an error all the same.
        moving_averages: Whether to read the averages that `tf.train.ExponentialMovingAverage` keeps under
            `<name>/ExponentialMovingAverage`. A variable that is not trained and has no average is read raw.

    Returns:
        A `Restorer`: call it with a session to load the values. It adds operations to the current graph, so
        make it before the graph is finalized.

    Raises:
        ValueError: There is no readable checkpoint, an exclusion matches no variable, or names, shapes or
            types differ; the message lists every difference.
    """
    path = find_checkpoint(checkpoint_path)
    held = read_shapes(path)
    named = _named(variables)
    kept, excluded = split_by_scopes(named, exclude_scopes, 'checkpoint_exclude_scopes')

    restored, missing, misshaped = _match(kept, held, moving_averages)
    unused = sorted(set(held) - set(restored) - {source for source, _, _ in misshaped})

    nothing_left = bool(kept) and not restored
    if misshaped or (missing and (not ignore_missing or nothing_left)):
        raise ValueError(mismatch.describe(path, list(named), sorted(held), missing, misshaped, unused))
    return Restorer(path, restored, list(excluded), missing, unused)


def find_checkpoint(path):
    """Finds the checkpoint that a path means.

    Args:
        path: A checkpoint's prefix (`dir/model.ckpt-100`), any one of its files, or a directory. In a
            directory the `checkpoint` file says which is the newest; without one there has to be exactly one
            checkpoint.

    Returns:
        The prefix, a string; for a checkpoint in the V1 format it is the path of the file itself.

    Raises:
        ValueError: Nothing is there, or several are and none is named as the newest.
    """
    path = str(path)
    if tf.gfile.IsDirectory(path):
        return _newest_in(path)
    prefix = _FILE_SUFFIX.sub('', path)
    for candidate in (path, prefix):
        if tf.gfile.Exists(candidate + '.index') or (candidate == path == prefix and tf.gfile.Exists(path)):
            return candidate
    if tf.gfile.Exists(path):
        raise ValueError('The checkpoint {} is incomplete: {} is missing.'.format(prefix, prefix + '.index'))
    raise ValueError(f'There is no checkpoint at {prefix}: neither {prefix}.index nor a file or directory of '
                     'that name exists.')


def read_shapes(path):
    """Reads what a checkpoint holds, without the values.

    Args:
        path: The prefix of a checkpoint in either format.

    Returns:
        A dict from name to (shape as a tuple of ints, `tf.DType`).

    Raises:
        ValueError: The file is damaged, incomplete or no checkpoint.
    """
    try:
        reader = tf.train.NewCheckpointReader(path)
        shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    except _READ_ERRORS as error:
        raise ValueError(_damaged(path, getattr(error, 'message', None) or str(error))) from error
    if tf.gfile.Exists(path + '.index') and not tf.gfile.Glob(path + '.data-*'):
        raise ValueError(_damaged(path, f'there is no file {path}.data-…'))
    return {name: (tuple(shape), types[name]) for name, shape in shapes.items()}


def read_step(path):
    """Reads the step at which a checkpoint was written.

    Args:
        path: The prefix of a checkpoint in either format.

    Returns:
        An int, or None if the checkpoint holds no `global_step`.

    Raises:
        ValueError: The file is damaged, incomplete or no checkpoint.
    """
    if 'global_step' not in read_shapes(path):
        return None
    try:
        return int(tf.train.NewCheckpointReader(path).get_tensor('global_step'))
    except _READ_ERRORS as error:
        raise ValueError(_damaged(path, getattr(error, 'message', None) or str(error))) from error


def split_by_scopes(variables, scopes, flag):
    """Splits variables by scope, comparing whole components of their names.

    Args:
        variables: Dict from name to variable.
        scopes: Scopes as full names from the root; blanks around them and empty ones are dropped.
        flag: The name of the flag that the scopes come from, for the error.

    Returns:
        Two ordered dicts: the variables outside all of the scopes, and those inside one.

    Raises:
        ValueError: A scope matches no variable.
    """
    scopes = [scope.strip().strip('/') for scope in scopes]
    outside, inside = collections.OrderedDict(), collections.OrderedDict()
    for name, variable in variables.items():
        (inside if any(in_scope(name, scope) for scope in scopes) else outside)[name] = variable
    for scope in scopes:
        if scope and not any(in_scope(name, scope) for name in variables):
            raise ValueError(mismatch.describe_scope(flag, scope, list(variables)))
    return outside, inside


def in_scope(name, scope):
    """Whether a variable's name is a scope or lies below it; the empty scope holds nothing."""
    return bool(scope) and (name == scope or name.startswith(scope + '/'))


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


def _named(variables):
    """An ordered dict from name to variable."""
    if hasattr(variables, 'items'):
        return collections.OrderedDict(variables.items())
    return collections.OrderedDict((variable.op.name, variable) for variable in variables)


def _match(variables, held, moving_averages):
    """What can be restored (by name in the checkpoint), what is missing, and what has another shape or type."""
    restored, missing, misshaped = collections.OrderedDict(), [], []
    for name, variable in variables.items():
        source = _source_name(name, variable, held, moving_averages)
        if source not in held:
            missing.append(source)
        elif _fits(held[source], variable):
            restored[source] = variable
        else:
            misshaped.append((source, held[source], _signature(variable)))
    return restored, missing, misshaped


def _source_name(name, variable, held, moving_averages):
    """The name in the checkpoint that a variable is read from."""
    if not moving_averages:
        return name
    average = name + AVERAGE_SUFFIX
    return average if average in held or variable.trainable else name


def _signature(variable):
    """Shape (None for an unknown one, or for an unknown dimension) and type of a variable."""
    shape = variable.shape
    return (tuple(shape.as_list()) if shape.ndims is not None else None), variable.dtype.base_dtype


def _fits(held, variable):
    """Whether a tensor of the checkpoint can be assigned to a variable."""
    shape, dtype = held
    return variable.shape.is_compatible_with(shape) and variable.dtype.base_dtype == dtype


def first_telling_line(message, otherwise):
    """The first line of an error's message that says something, with single blanks; `otherwise` if none does."""
    lines = (' '.join(line.split()) for line in str(message).split('\n'))
    return next((line for line in lines if line not in _ERROR_HEADINGS), otherwise)


def _damaged(path, reason):
    """The message for files that cannot be read."""
    first_line = first_telling_line(reason, 'nothing more')
    return (f'The checkpoint {path} cannot be read; it is damaged, incomplete, or no TensorFlow checkpoint. '
            f'Copy it again or use another one. TensorFlow says: {first_line}')
