"""A network's graph, to know its variables and to run it."""

import collections
import contextlib

import tensorflow.compat.v1 as tf

from nets import nets_factory

# images: the placeholder, `[None, None, None, 3]`. end_points: the network's. scope: the network's own. variables:
# ordered dict from name below the scope to variable.
Built = collections.namedtuple('Built', ['images', 'end_points', 'scope', 'variables'])
CPU_ONLY = tf.ConfigProto(device_count={'GPU': 0})


@contextlib.contextmanager
def network(name, num_classes, **arg_scope_kwargs):
    """Builds a network for inference in a graph of its own, which is the default graph within the context.

    Args:
        name: A name of `nets_factory.NETWORKS`.
        num_classes: Number of logits; 0 for none.
        **arg_scope_kwargs: Arguments of the network's arg scope.

    Yields:
        A `Built`.

    Raises:
        ValueError: There is no such network.
    """
    network_fn = nets_factory.get_network_fn(name, num_classes or None, **arg_scope_kwargs)
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, None, None, 3])
        _, end_points = network_fn(images)
        variables = tf.model_variables()
        scope = variables[0].op.name.split('/')[0]
        yield Built(images, end_points, scope, collections.OrderedDict(
            (variable.op.name[len(scope) + 1:], variable) for variable in variables))
