"""The one way in which weights get from a checkpoint into a graph.

Training, evaluation and everything later restore through `restore_fn`: it compares names, shapes and types
*before* anything is read, reports every difference at once together with the likely cause, and only then
hands out a function that loads the values in one `tf.train.Saver` operation. It reads both formats of
TensorFlow, the V2 one (`.index` and `.data-…` files) and the single file of early TensorFlow, and runs from
TensorFlow 1.15 on Python 3.7 on.
"""

import collections
import logging

import tensorflow.compat.v1 as tf

from nets.checkpoints import mismatch, tensorflow_files
from nets.checkpoints import renames as renaming

logger = logging.getLogger(__name__)

AVERAGE_SUFFIX = '/ExponentialMovingAverage'

# What callers need beside `restore_fn`.
find_checkpoint = tensorflow_files.find_checkpoint
read_shapes = tensorflow_files.read_shapes
read_step = tensorflow_files.read_step


class Restorer:
    """Loads a checkpoint into variables when called with a session.

    Attributes:
        path: The checkpoint's prefix, a string.
        restored: Ordered dict from the name in the checkpoint to the variable it goes to.
        excluded: Names of the variables that an exclusion left out.
        missing: Names of the variables that the checkpoint does not hold (only with `ignore_missing`).
        unused: Sorted names in the checkpoint that no variable takes.
        renames: Pairs of a scope in the checkpoint and the scope of the variables that were read from it: those that
            were given, or the one that was found.
    """

    def __init__(self, path, restored, excluded, missing, unused, renames=()):
        self.path = path
        self.restored = restored
        self.excluded = excluded
        self.missing = missing
        self.unused = unused
        self.renames = list(renames)
        self._saver = _saver(restored) if restored else None

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
            raise ValueError(tensorflow_files.damaged(self.path, error.message)) from error


def restore_fn(checkpoint_path, variables, exclude_scopes=(), ignore_missing=False, moving_averages=False,
               renames=(), user=mismatch.SCRIPTS):
    """Plans the restoring of variables and checks that it can work.

    Where the checkpoint has none of the names, but all of them in another scope (`tower_0/resnet_v1_50/…` for
    `resnet_v1_50/…`, or the other way round), they are read from there, which is logged. A network's own scope is never
    taken for another's: that needs `renames`.

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
        renames: Dict from a scope in the checkpoint to the scope in the model, or a list of texts 'old=new'.
        user: `mismatch.SCRIPTS` or `mismatch.COMMANDS`: whose flags the error speaks of.

    Returns:
        A `Restorer`: call it with a session to load the values. It adds operations to the current graph, so
        make it before the graph is finalized. Those that read the same names into the same variables are added once,
        whatever the number of checkpoints.

    Raises:
        ValueError: There is no readable checkpoint, an exclusion matches no variable, a rename matches nothing in the
            checkpoint, or names, shapes or types differ; the message lists every difference.
    """
    path = find_checkpoint(checkpoint_path)
    held = read_shapes(path)
    objects = tensorflow_files.names_of_objects(path, held)
    held = {objects.get(key, key): value for key, value in held.items()}
    named = _named(variables)
    kept, excluded = split_by_scopes(named, exclude_scopes, 'checkpoint_exclude_scopes')
    pairs = renaming.parse(renames)
    match = (_Match(kept, held, moving_averages, pairs) if pairs else
             _match(kept, held, moving_averages, ignore_missing, user))
    nothing_left = bool(kept) and not match.restored
    if match.misshaped or (match.missing and (not ignore_missing or nothing_left)):
        raise ValueError(mismatch.describe(path, list(named), sorted(match.sources), match.missing, match.misshaped,
                                           match.unused, match.renames, user))
    if match.renames and not pairs:
        logger.info('The names of %s differ; reading with the rename %s.', path, mismatch.show_renames(match.renames))
    keys = {name: key for key, name in objects.items()}
    restored = collections.OrderedDict((keys.get(name, name), value) for name, value in match.restored.items())
    return Restorer(path, restored, list(excluded), match.missing, match.unused, match.renames)


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


def _saver(restored):
    """The saver of these variables under these names, one for each graph."""
    graph = tf.get_default_graph()
    savers = graph.nets_savers = getattr(graph, 'nets_savers', {})
    key = tuple((name, id(variable)) for name, variable in restored.items())
    if key not in savers:
        # With the variables, so that no other ones get their ids.
        savers[key] = tf.train.Saver(restored), list(restored.values())
    return savers[key][0]


def _named(variables):
    """An ordered dict from name to variable."""
    if hasattr(variables, 'items'):
        return collections.OrderedDict(variables.items())
    return collections.OrderedDict((variable.op.name, variable) for variable in variables)


class _Match:
    """What can be restored with some renames.

    Attributes:
        restored: Ordered dict from the name in the checkpoint to the variable.
        missing: Names that were looked for.
        misshaped: Tuples (name, the checkpoint's shape and type, the variable's).
        unused: Sorted names in the checkpoint that no variable takes.
        renames: The renames, a list of pairs.
        sources: Dict from every renamed name to the name in the checkpoint.
    """

    def __init__(self, variables, held, moving_averages, renames=()):
        self.renames = list(renames)
        self.sources = renaming.apply(self.renames, held)
        self.restored, self.missing, self.misshaped = collections.OrderedDict(), [], []
        for name, variable in variables.items():
            renamed = _source_name(name, variable, self.sources, moving_averages)
            source = self.sources.get(renamed)
            if source is None:
                self.missing.append(renamed)
            elif _fits(held[source], variable):
                self.restored[source] = variable
            else:
                self.misshaped.append((renamed, held[source], _signature(variable)))
        self.unused = sorted(set(held) - set(self.restored) - {self.sources[name] for name, _, _ in self.misshaped})


def _match(variables, held, moving_averages, ignore_missing, user):
    """The names as they are; or with the one rename that brings them all, if none is there as it is."""
    plain = _Match(variables, held, moving_averages)
    if plain.restored or plain.misshaped or not variables:
        return plain
    pairs = renaming.find(variables, held, AVERAGE_SUFFIX if moving_averages else '')
    matches = [_Match(variables, held, moving_averages, [pair]) for pair in pairs]
    least = min([len(match.missing) for match in matches] or [len(variables)])
    best = [match for match in matches if len(match.missing) == least]
    if least == len(variables) or (least and not ignore_missing):
        return plain
    if len(best) > 1:
        raise ValueError(mismatch.describe_choice([match.renames for match in best], user))
    return best[0]


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
