"""Gets weights into the variables of an application: checkpoints of ours, and the files that Keras writes."""

import os
import shutil
import tempfile
import weakref

import tensorflow.compat.v1 as tf

from nets.checkpoints import formats, mismatch, origins, restore
from nets.checkpoints.writers import checkpoint

_TOP = 'logits/'


def locate(weights):
    """Checks the argument `weights`.

    Args:
        weights: None, 'imagenet', or a path.

    Returns:
        The same, a path as a string.

    Raises:
        ValueError: It is something else, or there is nothing at the path.
    """
    if weights is None or (isinstance(weights, str) and weights == 'imagenet'):
        return weights
    reason = 'got {!r}'.format(weights)
    if isinstance(weights, (str, os.PathLike)) and os.fspath(weights):
        path = os.fspath(weights)
        try:
            return path if os.path.isfile(path) else restore.find_checkpoint(path)
        except ValueError as error:
            reason = str(error)
    raise ValueError("weights must be None, 'imagenet', or the path of a checkpoint or of a file of Keras; {}".format(
        reason))


def load(path, network, variables, session):
    """Loads weights into variables.

    Args:
        path: A checkpoint, or a file of Keras.
        network: Name of the network.
        variables: Ordered dict from name below the network's scope to variable.
        session: `tf.Session` on their graph.

    Raises:
        ValueError: The weights cannot be read or do not fit; the message lists everything that differs. No variable
            has changed then.
    """
    checkpoint_path, arrays = _open(path, network, variables)
    if arrays is None:
        with session.graph.as_default():
            restore.restore_fn(checkpoint_path, _named(network, variables), user=mismatch.COMMANDS)(session)
        return
    # What initializers assign is fed, so that the graph stays as it is.
    initializers = [variables[name].initializer for name in arrays]
    session.run(initializers, {op.inputs[1]: array for op, array in zip(initializers, arrays.values())})


def initialize(path, network, variables):
    """Makes weights the initial values of variables, for whenever their initializers run.

    Args:
        path, network, variables: As in `load`.

    Raises:
        ValueError: As in `load`.
    """
    checkpoint_path, arrays = _open(path, network, variables)
    named = _named(network, variables)
    if arrays is None:
        tf.train.init_from_checkpoint(checkpoint_path, _keys(checkpoint_path, named))
        return
    directory = tempfile.mkdtemp(prefix='nets-')
    graph = next(iter(variables.values())).graph
    weakref.finalize(graph, shutil.rmtree, directory, ignore_errors=True)
    prefix = os.path.join(directory, 'model.ckpt')
    checkpoint.write(prefix, {'{}/{}'.format(network, name): array for name, array in arrays.items()})
    tf.train.init_from_checkpoint(prefix, named)


def _named(network, variables):
    """The variables by the names that they have where the network has its usual scope."""
    return {'{}/{}'.format(network, name): variable for name, variable in variables.items()}


def _keys(path, named):
    """Finds variables in a checkpoint without an operation in their graph: a dict from key to variable."""
    with tf.Graph().as_default():
        twins = {name: tf.get_variable(name, variable.shape, variable.dtype.base_dtype)
                 for name, variable in named.items()}
        restored = restore.restore_fn(path, twins, user=mismatch.COMMANDS).restored
        return {key: named[twin.op.name] for key, twin in restored.items()}


def _open(path, network, variables):
    """The prefix of a checkpoint of ours and None; or None and the arrays of a file of Keras, which fit."""
    with formats.open_weights(path) as weights:
        kind = weights.format.lower()
        if kind.startswith(('tensorflow', 'savedmodel')):
            return weights.path, None
        if 'keras' not in kind:
            raise ValueError('{} is {}, which does not fill {}. Give a checkpoint or a file of Keras; `nets convert` '
                             'makes checkpoints of other files.'.format(path, weights.format, network))
        fit = origins.Fit({name: weights.read(name) for name in weights.shapes}, origins.check_origin(network, 'keras'))
    if not any(name.startswith(_TOP) for name in variables):
        for name in [name for name in fit.variables if name.startswith(_TOP)]:
            del fit.variables[name]
    fit.check({name: tuple(variable.shape.as_list()) for name, variable in variables.items()}, path, network)
    return None, fit.variables
