"""Which tensors of a network are kept for the backward pass."""

import collections
import re

import tensorflow.compat.v1 as tf
import tf_slim as slim

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
            them, and more for all that is computed again between two of them. Or a number, as an int or its digits: the
            results of every so many units of a block, and those of the blocks.

    Returns:
        List of tensors. The inputs of the network and of its first unit are among them, so that neither what prepares
        the images nor the root block is computed again with more than itself.

    Raises:
        ValueError: There is no such network, or it has no units, or `every` is none of these.
    """
    if every not in ('unit', 'block') and not (str(every).isdecimal() and int(every) >= 1):
        raise ValueError(f"every must be 'unit', 'block' or a number of units from 1; got {every!r}.")
    kept = collections.OrderedDict()
    for points in _networks(end_points):
        blocks = _units(points)
        tensors = _inputs_of_first(next(iter(blocks.values()))[0])
        for name, units in blocks.items():
            step = {'unit': 1, 'block': len(units)}.get(every) or int(every)
            tensors += [*units[step - 1:-1:step], points.get(name, units[-1])]
        kept.update((tensor.name, tensor) for tensor in tensors)
    return list(kept.values())


def _networks(end_points):
    """The end points of each of the networks, as dicts."""
    names = [key[:-len(_END_POINTS)] for key in tf.get_default_graph().get_all_collection_keys()
             if isinstance(key, str) and key.endswith(_END_POINTS)]
    if end_points is None:
        networks = [points for points in map(_end_points_of, names) if _units(points)]
        if not networks:
            raise ValueError('The graph has no residual network whose activations could be computed again; build the '
                             'network first, or give the tensors to keep yourself.')
        return networks
    if isinstance(end_points, str):
        if end_points.strip('/') not in names:
            raise ValueError(f'The graph has no network of the scope {end_points!r}; it has '
                             f'{", ".join(names) or "none"}.')
        end_points = _end_points_of(end_points.strip('/'))
    if not _units(end_points):
        raise ValueError('The end points have no residual units, with names such as resnet_v1_50/block1/unit_1/'
                         f'bottleneck_v1: {", ".join(end_points)}. Give the tensors to keep yourself.')
    return [end_points]


def _end_points_of(scope):
    return slim.utils.convert_collection_to_dict(scope + _END_POINTS)


def _units(end_points):
    """The results of the units of each block, an ordered dict of lists."""
    blocks = collections.OrderedDict()
    for name, tensor in end_points.items():
        if _UNIT.match(name):
            blocks.setdefault(_UNIT.match(name)['block'], []).append(tensor)
    return blocks


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
    return operation.type in _SOURCES or any(tensor.dtype != tensor.dtype.base_dtype for tensor in operation.inputs)
