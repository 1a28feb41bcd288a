"""What a graph costs: its parameters, and the multiply-adds that one image takes.

    logits, end_points = network_fn(tf.placeholder(tf.float32, [None, 224, 224, 3]))
    print(complexity.count(scope='resnet_v1_50'))
"""

import collections

import tensorflow.compat.v1 as tf

# `parameters` are the numbers that training changes; `statistics` are the other numbers of the layers, such as the
# moving means of batch normalisation; `multiply_adds` are those of convolutions and matrix products for one image, as
# torchvision counts them (half of the "FLOPs" of some papers): biases, normalisation, activations, pools and sums are
# left out. They are None where a height or width is unknown when the graph is built.
Complexity = collections.namedtuple('Complexity', ['parameters', 'statistics', 'multiply_adds'])


def count(scope=None, graph=None):
    """Counts a part of a graph.

    Operations that compute gradients or initial values are not of the model: the latter are left out, the former are
    if they lie outside the scope, as they do where `tf.gradients` made them.

    Args:
      scope: Name of a scope; what is counted are the variables and operations in it. None for the whole graph.
      graph: `tf.Graph`; None for the default graph. The first dimension of its convolutions and matrices must be the
        batch.

    Returns:
      A `Complexity`.

    Raises:
      ValueError: If neither a variable nor an operation is in the scope.
    """
    return count_each([scope], graph)[scope]


def count_each(scopes, graph=None):
    """Counts several parts of a graph; see `count`.

    Args:
      scopes: Names of scopes.
      graph: `tf.Graph`; None for the default graph.

    Returns:
      An ordered dict from scope to `Complexity`.

    Raises:
      ValueError: If there is nothing in a scope.
    """
    graph = graph or tf.get_default_graph()
    operations = graph.get_operations()
    costs = [(op.name, cost) for op, cost in ((op, _multiply_adds(op)) for op in operations) if cost != 0]
    trained = _sizes(graph, tf.GraphKeys.TRAINABLE_VARIABLES)
    others = {name: size for name, size in _sizes(graph, tf.GraphKeys.MODEL_VARIABLES).items() if name not in trained}
    result = collections.OrderedDict()
    for scope in scopes:
        if scope is not None and not any(_inside(op.name, scope) for op in operations):
            raise ValueError('There is nothing in the scope {!r}. Name a scope such as that of a network or of an end '
                             'point; at the top of the graph there are {}.'.format(
                                 scope, ', '.join(sorted({op.name.split('/')[0] for op in operations})[:20]) or 'none'))
        inside = [cost for name, cost in costs if _inside(name, scope)]
        result[scope] = Complexity(_total(trained, scope), _total(others, scope),
                                   None if None in inside else sum(inside))
    return result


def _inside(name, scope):
    return scope is None or name == scope or name.startswith(scope + '/')


def _sizes(graph, collection):
    """Number of elements of each variable, by name."""
    return {variable.op.name: variable.shape.num_elements() for variable in graph.get_collection(collection)}


def _total(sizes, scope):
    return sum(size for name, size in sizes.items() if _inside(name, scope))


def _multiply_adds(op):
    """Those of an operation for one image: 0 for one that is not counted, None where a size is unknown."""
    if op.type not in _COUNTED or '/Initializer/' in op.name:
        return 0
    factors = _COUNTED[op.type](op)
    if None in factors:
        return None
    cost = 1
    for factor in factors:
        cost *= factor
    return cost


def _convolution(op):
    """Each number of the kernel meets each place of the result.

    An atrous convolution runs on a batch of subsampled images; what puts them together again has the places.
    """
    result, = op.outputs
    for consumer in result.consumers():
        if consumer.type == 'BatchToSpaceND':
            result, = consumer.outputs
    data_format = op.get_attr('data_format').decode()
    sizes = [result.shape.as_list()[data_format.index(axis)] for axis in 'HW'] if result.shape.ndims else [None]
    return sizes + _shape(op.inputs[1])


def _product(op):
    return _shape(op.inputs[1])


def _shape(tensor):
    return tensor.shape.as_list() if tensor.shape.ndims is not None else [None]


# Kernels hold the channels of a group, so grouped convolutions need nothing of their own.
_COUNTED = {'Conv2D': _convolution, 'DepthwiseConv2dNative': _convolution, 'MatMul': _product}
