"""The names and the axis order of torch's residual networks and of ours.

The names on torch's side are those of torchvision's ResNet, ResNeXt and wide ResNet, and of timm's SE-ResNeXt, which
adds `se.fc1` and `se.fc2`. On our side they are those below the network's scope. That names match does not make the
functions equal: torch's weights belong to `resnet_v15_*`, `resnext_*`, `se_resnext_*` and `wide_resnet_*`, which have
the stride of a block where torch has it.

    torch_name('block1/unit_1/bottleneck_v1/conv1/weights')    'layer1.0.conv1.weight'
    slim_name('layer1.0.bn1.running_mean', 'bottleneck_v1')    'block1/unit_1/bottleneck_v1/conv1/BatchNorm/moving_mean'
"""

import re

import numpy as np

UNITS = ('bottleneck_v1', 'lite_bottleneck_v1')  # the scopes of the units, with three and with two convolutions

_CONV = {'weights': 'weight'}
_BIASED = {'weights': 'weight', 'biases': 'bias'}
_BATCH_NORM = {'gamma': 'weight', 'beta': 'bias', 'moving_mean': 'running_mean', 'moving_variance': 'running_var'}


def _names(layers, biased):
    """Our names and torch's, of layers (ours, torch's, torch's batch normalisation) and of those with biases."""
    names = {}
    for ours, conv, norm in layers:
        names.update(('{}/{}'.format(ours, a), '{}.{}'.format(conv, b)) for a, b in _CONV.items())
        names.update(('{}/BatchNorm/{}'.format(ours, a), '{}.{}'.format(norm, b)) for a, b in _BATCH_NORM.items())
    for ours, layer in biased:
        names.update(('{}/{}'.format(ours, a), '{}.{}'.format(layer, b)) for a, b in _BIASED.items())
    return names


_OUTSIDE = _names([('conv1', 'conv1', 'bn1')], [('logits', 'fc')])
_INSIDE = _names(
    [('conv1', 'conv1', 'bn1'), ('conv2', 'conv2', 'bn2'), ('conv3', 'conv3', 'bn3'),
     ('shortcut', 'downsample.0', 'downsample.1')],
    [('se/reduce', 'se.fc1'), ('se/expand', 'se.fc2')])
_OUTSIDE_BACK = {torch: ours for ours, torch in _OUTSIDE.items()}
_INSIDE_BACK = {torch: ours for ours, torch in _INSIDE.items()}

# Blocks and units count from 1 on both sides, but torch's units from 0; no number starts with a zero.
_SLIM_UNIT = re.compile(r'block([1-9]\d*)/unit_([1-9]\d*)/({})/(.+)'.format('|'.join(UNITS)))
_TORCH_UNIT = re.compile(r'layer([1-9]\d*)\.(0|[1-9]\d*)\.(.+)')
_THIRD = re.compile(r'\.(conv|bn)3\.')
# Steps that torch counts in batch normalisation; they are no weights.
_COUNTER = re.compile(r'(^|\.)num_batches_tracked$')


def torch_name(name):
    """The name in torch of one of our variables.

    Args:
      name: Name of a variable below the network's scope, without the ':0' of its tensor.

    Returns:
      The key of a state dict.

    Raises:
      ValueError: If torch's networks have no such weight.
    """
    unit = _SLIM_UNIT.fullmatch(name)
    if unit and unit.group(4) in _INSIDE:
        return 'layer{}.{}.{}'.format(unit.group(1), int(unit.group(2)) - 1, _INSIDE[unit.group(4)])
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    raise ValueError("torchvision's and timm's residual networks have no weight for the variable {!r}; there are those "
                     'like block1/unit_1/{{{}}}/{{{}}}, and {}.'.format(
                         name, ','.join(UNITS), ','.join(_INSIDE), ', '.join(_OUTSIDE)))


def slim_name(name, unit):
    """Our name of one of torch's weights.

    Args:
      name: Key of a state dict.
      unit: Scope of the units, one of `UNITS`; `unit_of` tells it.

    Returns:
      The name of a variable below the network's scope.

    Raises:
      ValueError: If our networks have no such variable, or `unit` is unknown.
    """
    if unit not in UNITS:
        raise ValueError('unit must be one of {}; got {!r}.'.format(', '.join(map(repr, UNITS)), unit))
    inside = _TORCH_UNIT.fullmatch(name)
    if inside and inside.group(3) in _INSIDE_BACK:
        return 'block{}/unit_{}/{}/{}'.format(
            inside.group(1), int(inside.group(2)) + 1, unit, _INSIDE_BACK[inside.group(3)])
    if name in _OUTSIDE_BACK:
        return _OUTSIDE_BACK[name]
    raise ValueError('Our residual networks have no variable for the weight {!r}; they have them for those like '
                     'layer1.0.{{{}}}, and {}.'.format(name, ','.join(_INSIDE_BACK), ', '.join(_OUTSIDE_BACK)))


def unit_of(names):
    """The scope of our units for torch's weights of these names: bottlenecks have a third convolution."""
    return UNITS[0] if any(_THIRD.search(name) for name in names) else UNITS[1]


def to_slim(name, array):
    """One of torch's weights in our order of axes.

    Args:
      name: Key of a state dict.
      array: Its value: `[filters, channels / groups, height, width]` of a convolution, `[classes, channels]` of `fc`,
        or a vector.

    Returns:
      `[height, width, channels / groups, filters]`, `[1, 1, channels, classes]`, or the vector; of the same type.

    Raises:
      ValueError: If the array has another rank.
    """
    array = np.asarray(array)
    _check_rank(name, array, 2 if name == 'fc.weight' else 4 if _is_kernel(name) else 1)
    if name == 'fc.weight':
        array = array[:, :, None, None]
    return np.ascontiguousarray(array.transpose(2, 3, 1, 0) if array.ndim == 4 else array)


def to_torch(name, array):
    """One of our variables in torch's order of axes; the inverse of `to_slim`.

    Args:
      name: Name of a variable below the network's scope.
      array: Its value.

    Returns:
      An array of the same type.

    Raises:
      ValueError: If the array has another rank, or the logits' kernel is not 1x1, or torch has no such weight.
    """
    array, other = np.asarray(array), torch_name(name)
    _check_rank(name, array, 4 if other == 'fc.weight' or _is_kernel(other) else 1)
    if array.ndim == 4:
        array = array.transpose(3, 2, 0, 1)
    if other == 'fc.weight':
        if array.shape[2:] != (1, 1):
            raise ValueError('{} must have a kernel of 1x1 to be a dense layer; its shape is {}.'.format(
                name, list(array.transpose(2, 3, 1, 0).shape)))
        array = array[:, :, 0, 0]
    return np.ascontiguousarray(array)


def from_state_dict(state):
    """A whole state dict as our variables.

    Args:
      state: Dict from key to array. Counters of steps (`num_batches_tracked`) are left out.

    Returns:
      A dict from name below the network's scope to array, in the order of `state`.

    Raises:
      ValueError: If weights are unknown, all of which the message names, or have another rank.
    """
    state = {name: array for name, array in state.items() if not _COUNTER.search(name)}
    unit = unit_of(state)
    _check_all(state, lambda name: slim_name(name, unit))
    return {slim_name(name, unit): to_slim(name, array) for name, array in state.items()}


def to_state_dict(variables):
    """Our variables as a state dict, which torch loads strictly; the inverse of `from_state_dict`.

    Args:
      variables: Dict from name below the network's scope to array.

    Returns:
      A dict from key to array, in the order of `variables`.

    Raises:
      ValueError: If variables are unknown, all of which the message names, or have another rank.
    """
    _check_all(variables, torch_name)
    return {torch_name(name): to_torch(name, array) for name, array in variables.items()}


def _is_kernel(name):
    """Whether a weight of torch's is the kernel of a convolution."""
    return bool(re.search(r'(^|\.)(conv\d|downsample\.0|se\.fc\d)\.weight$', name))


def _check_rank(name, array, rank):
    if array.ndim != rank:
        raise ValueError('{} must have {} axes; got an array of shape {}.'.format(name, rank, list(array.shape)))


def _check_all(names, name_fn):
    """Raises one error for all names that `name_fn` does not know."""
    unknown = []
    for name in names:
        try:
            name_fn(name)
        except ValueError as error:
            unknown.append((name, error))
    if len(unknown) == 1:
        raise unknown[0][1]
    if unknown:
        raise ValueError('{} names are unknown: {}. The first: {}'.format(
            len(unknown), ', '.join(repr(name) for name, _ in unknown), unknown[0][1]))
