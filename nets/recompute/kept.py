"""Which tensors of a network are kept for the backward pass."""

import collections
import re

import tensorflow.compat.v1 as tf
import tf_slim as slim

EVERY = ('none', 'unit', 'block')

_END_POINTS = '/_end_points'
_UNIT = re.compile(r'(?P<block>.+)/unit_\d+/[^/]+$')
_UNIT_SCOPE = re.compile(r'(?P<unit>(?P<network>.*?)/?[^/]+/unit_\d+)/')
_SOURCES = ('Const', 'ReadVariableOp')


def kept_tensors(end_points=None, every='unit'):
    """The tensors of residual networks to keep for the backward pass.

    Args:
        end_points: The end points of a network, a dict; or the name of a network's scope; None for all networks in the
            current graph.
        every: 'unit' for the results of all units; 'block' for those of the blocks alone, which takes less memory for
            them, and more for all that is computed again between two of them. Or an int: the results of every so many
            units of a block, and those of the blocks.

    Returns:
        List of tensors. The inputs of the network and of its first unit are among them, so that neither what prepares
        the images nor the root block is computed again with more than itself.

    Raises:
        ValueError: There is no such network, or it has no units, or `every` is none of these.
    """
    is_count = isinstance(every, int) and not isinstance(every, bool) and every >= 1
    if every not in ('unit', 'block') and not is_count:
        raise ValueError(f"every must be 'unit', 'block' or a number of units from 1; got {every!r}.")
    kept = collections.OrderedDict()
    for points in _networks(end_points):
        blocks = collections.OrderedDict()
        for name, tensor in points.items():
            if _UNIT.match(name):
                blocks.setdefault(_UNIT.match(name)['block'], []).append(tensor)
        if not blocks:
            raise ValueError('The end points have no residual units, with names such as resnet_v1_50/block1/unit_1/'
                             f'bottleneck_v1: {", ".join(points)}. Give the tensors to keep yourself.')
        tensors = _inputs_of_first(next(iter(blocks.values()))[0])
        for name, units in blocks.items():
            step = {'unit': 1, 'block': len(units)}.get(every, every)
            tensors += [*units[step - 1:-1:step], points.get(name, units[-1])]
        kept.update((tensor.name, tensor) for tensor in tensors)
    return list(kept.values())


def _networks(end_points):
    """The end points of each of the networks, as dicts."""
    if isinstance(end_points, collections.abc.Mapping):
        return [end_points]
    names = [key[:-len(_END_POINTS)] for key in tf.get_default_graph().get_all_collection_keys()
             if isinstance(key, str) and key.endswith(_END_POINTS)]
    if end_points is not None:
        scope = end_points.strip('/')
        if scope not in names:
            raise ValueError(f'The graph has no network of the scope {scope!r}; it has {", ".join(names) or "none"}.')
        names = [scope]
    if not names:
        raise ValueError('The graph has no residual network whose activations could be computed again; build the '
                         'network first, or give the tensors to keep yourself.')
    return [slim.utils.convert_collection_to_dict(name + _END_POINTS) for name in names]


def _inputs_of_first(unit):
    """The inputs of a network, and those of its first unit, of which the result is given."""
    match = _UNIT_SCOPE.match(unit.op.name)
    return [tensor for scope in (match['network'], match['unit']) if scope for tensor in _inputs(scope + '/')]


def _inputs(scope):
    """The tensors of rank 4 that come into a scope, but for constants and variables."""
    return [tensor for operation in tf.get_default_graph().get_operations() if operation.name.startswith(scope)
            for tensor in operation.inputs
            if tensor.shape.ndims == 4 and not tensor.op.name.startswith(scope) and not _is_read(tensor.op)]


def _is_read(operation):
    """Whether an operation is a constant or what a variable holds."""
    return operation.type in _SOURCES or any(_is_reference(tensor) for tensor in operation.inputs)


def _is_reference(tensor):
    return tensor.dtype != tensor.dtype.base_dtype
