"""Builds the network of an application in a graph."""

import collections

import tensorflow.compat.v1 as tf

from nets import nets_factory

# output: the tensor that the application returns. end_points: of the network, from name to tensor. scope: the
# network's scope. variables: ordered dict from name below the scope to variable.
Built = collections.namedtuple('Built', ['output', 'end_points', 'scope', 'variables'])


def build(network, images, arguments):
    """Adds a network to the graph of its images, for inference, in a scope that is new there.

    Args:
        network: Name of the network.
        images: `[batch, height, width, channels]`.
        arguments: `arguments.Arguments`.

    Returns:
        A `Built`.
    """
    before = {variable.op.name for variable in tf.global_variables()}
    top = arguments.num_classes is not None
    network_fn = nets_factory.get_network_fn(network, arguments.num_classes)
    net, end_points = network_fn(images, global_pool=top, scope=None)
    scope = next(iter(end_points))[:-len('/conv1')]
    variables = [variable for variable in tf.global_variables() if variable.op.name not in before]
    if top:
        output = _activated(net, end_points, arguments.activation_fn)
    else:
        output = net if arguments.pooling is None else _POOLS[arguments.pooling](net, [1, 2], name='pool')
    return Built(output, end_points, scope, collections.OrderedDict(
        (variable.op.name[len(scope) + 1:], variable) for variable in variables))


_POOLS = {'avg': tf.reduce_mean, 'max': tf.reduce_max}


def _activated(logits, end_points, activation_fn):
    if activation_fn is tf.nn.softmax:
        return end_points['predictions']
    return activation_fn(logits) if activation_fn else logits
