"""The names and arrays of Keras Applications' residual networks, and those of ours; nothing but NumPy.

A Keras array is named `layer/weight`, such as `conv2_block1_1_conv/kernel`; one of ours by what follows the network's
scope, such as `block1/unit_1/bottleneck_v1/conv1/weights`. Keras has had two generations of layer names: the current
one, and that of its first ResNet50 (`res2a_branch2a`, `fc1000`).

    variables = to_slim(keras_h5.read(path), kind_of('resnet_keras_50'))
    arrays = to_keras(variables, kind_of('resnet_keras_50'))
"""

import collections
import re

import numpy as np

# What sets the networks of one of Keras' modules apart: the scope of a unit, and whether the 3x3 convolution is
# grouped, which Keras Applications has as a depthwise convolution and a sum.
Kind = collections.namedtuple('Kind', ['unit', 'grouped'])

# By the first part of the name of a network of ours; `resnet_v1_50` and so on have the same variables but the biases.
_KINDS = [
    ('resnet_keras_v2_', Kind('bottleneck_v2', False)),
    ('resnet_keras_', Kind('bottleneck_v1', False)),
    ('resnext_keras_', Kind('bottleneck_v1', True)),
]

# Layers: ours, Keras', Keras' of the first generation. The star stands for the unit.
_LAYERS = [
    ('conv1', 'conv1_conv', 'conv1'),
    ('conv1/BatchNorm', 'conv1_bn', 'bn_conv1'),
    ('*/preact', 'conv*_preact_bn', None),
    ('*/shortcut', 'conv*_0_conv', 'res*_branch1'),
    ('*/shortcut/BatchNorm', 'conv*_0_bn', 'bn*_branch1'),
    ('*/conv1', 'conv*_1_conv', 'res*_branch2a'),
    ('*/conv1/BatchNorm', 'conv*_1_bn', 'bn*_branch2a'),
    ('*/conv2', 'conv*_2_conv', 'res*_branch2b'),
    ('*/conv2/BatchNorm', 'conv*_2_bn', 'bn*_branch2b'),
    ('*/conv3', 'conv*_3_conv', 'res*_branch2c'),
    ('*/conv3/BatchNorm', 'conv*_3_bn', 'bn*_branch2c'),
    ('postnorm', 'post_bn', None),
    ('logits', 'predictions', 'fc1000'),
]
_GENERATIONS = {'current': 1, 'first': 2}  # columns of _LAYERS
_SLIM_LAYERS = {row[column]: row[0] for column in _GENERATIONS.values() for row in _LAYERS if row[column]}
_SLIM_LAYERS['probs'] = 'logits'  # between the two generations

_WEIGHTS = {'weights': 'kernel', 'biases': 'bias'}
# Keras 1 called the variance a standard deviation, but kept the variance there.
_SLIM_WEIGHTS = {'kernel': 'weights', 'depthwise_kernel': 'weights', 'W': 'weights', 'bias': 'biases', 'b': 'biases',
                 'running_mean': 'moving_mean', 'running_std': 'moving_variance'}
_STATISTICS = ('gamma', 'beta', 'moving_mean', 'moving_variance')

_SLIM_UNIT = re.compile(r'^block(\d+)/unit_(\d+)/(bottleneck_v[12])/')
_UNIT = re.compile(r'^(conv)([2-9])_block([1-9]\d*)(?=_)')
_FIRST_UNIT = re.compile(r'^(res|bn)([2-9])([a-z])(?=_)')


def kind_of(network):
    """The kind of a network.

    Args:
        network: Name of a network of ours, such as 'resnet_keras_50'.

    Returns:
        A `Kind`.

    Raises:
        ValueError: The network is none of Keras Applications'.
    """
    for prefix, kind in _KINDS:
        if str(network).startswith(prefix):
            return kind
    raise ValueError('Keras has no network with the layers of {!r}; those that have its layers begin with {}.'.format(
        network, ', '.join(prefix for prefix, _ in _KINDS)))


def slim_name(name, kind):
    """Our name of an array of Keras.

    Args:
        name: `layer/weight` in either generation. The weight may be `depthwise_kernel`, or as Keras 1 has it (`W`, `b`,
            `running_mean`, `running_std`).
        kind: `Kind`.

    Returns:
        The name below the network's scope; None if there is no such array in any of the networks.
    """
    layer, _, weight = name.rpartition('/')
    unit = ''
    for pattern, number in ((_UNIT, int), (_FIRST_UNIT, lambda letter: ord(letter) - ord('a') + 1)):
        match = pattern.match(layer)
        if match:
            unit = 'block{}/unit_{}/{}'.format(int(match.group(2)) - 1, number(match.group(3)), kind.unit)
            layer = pattern.sub(r'\1*', layer)
            break
    weight = _SLIM_WEIGHTS.get(weight, weight)
    slim_layer = _SLIM_LAYERS.get(layer)
    if slim_layer is None or ('*' in slim_layer and not unit) or not _belongs(slim_layer, weight):
        return None
    return slim_layer.replace('*', unit) + '/' + weight


def keras_name(name, kind, generation='current'):
    """Keras' name of one of our variables.

    Args:
        name: The variable's name below the network's scope.
        kind: `Kind`.
        generation: 'current', or 'first' for the names of Keras' first ResNet50.

    Returns:
        `layer/weight`.

    Raises:
        ValueError: Keras has no such layer in that generation.
    """
    if generation not in _GENERATIONS:
        raise ValueError('generation must be one of {}; got {!r}.'.format(
            ', '.join(map(repr, _GENERATIONS)), generation))
    match = _SLIM_UNIT.match(name)
    layer, _, weight = (_SLIM_UNIT.sub('*/', name) if match else name).rpartition('/')
    keras_layer = {row[0]: row[_GENERATIONS[generation]] for row in _LAYERS}.get(layer)
    if keras_layer is None or not _belongs(layer, weight) or (match and match.group(3) != kind.unit):
        raise ValueError('Keras has no {} name for {!r} in networks of {} units.'.format(generation, name, kind.unit))
    unit = _keras_unit(int(match.group(1)), int(match.group(2)), generation) if match else ''
    grouped = kind.grouped and (layer, weight) == ('*/conv2', 'weights')
    return keras_layer.replace('*', unit) + '/' + ('depthwise_kernel' if grouped else _WEIGHTS.get(weight, weight))


def to_slim(arrays, kind):
    """Arrays of Keras under our names and in our shapes.

    Args:
        arrays: Dict from `layer/weight`, in either generation, to array.
        kind: `Kind`.

    Returns:
        An ordered dict from name below the network's scope to array. What belongs to none of the networks keeps its
        name, for the caller to tell of.

    Raises:
        ValueError: Two arrays have the same name of ours, or a kernel is none of a depthwise convolution.
    """
    variables = collections.OrderedDict()
    for name, array in arrays.items():
        ours = slim_name(name, kind) or name
        if ours in variables:
            raise ValueError('Two arrays are {!r}, the second of them {!r}; a file must have one of the two '
                             'generations of names.'.format(ours, name))
        variables[ours] = _reshaped(ours, array, kind, name, to_slim=True)
    return variables


def to_keras(variables, kind, generation='current'):
    """Our variables under Keras' names and in Keras' shapes; the inverse of `to_slim`.

    Args:
        variables: Dict from name below the network's scope to array.
        kind: `Kind`.
        generation: 'current', or 'first' for the names of Keras' first ResNet50.

    Returns:
        An ordered dict from `layer/weight` to array.

    Raises:
        ValueError: Keras has no such layer.
    """
    return collections.OrderedDict(
        (keras_name(name, kind, generation), _reshaped(name, array, kind, name, to_slim=False))
        for name, array in variables.items())


def fold_biases(variables):
    """Takes the biases before batch normalisation into its mean, for networks without them, such as `resnet_v1_50`.

    Args:
        variables: Dict from our name to array.

    Returns:
        An ordered dict without those biases, which computes the same at inference. Other arrays are handed on.
    """
    folded = collections.OrderedDict(variables)
    for name in variables:
        mean = re.sub('/biases$', '/BatchNorm/moving_mean', name)
        if mean != name and mean in variables:
            folded[mean] = variables[mean] - folded.pop(name)
    return folded


def _belongs(layer, weight):
    """Whether a layer of ours has such a weight."""
    normalises = layer.endswith(('BatchNorm', 'preact', 'postnorm'))
    return weight in (_STATISTICS if normalises else _WEIGHTS)


def _keras_unit(block, unit, generation):
    if generation == 'current':
        return '{}_block{}'.format(block + 1, unit)
    if unit > 26:
        raise ValueError('The first generation of names counts units by letters, up to 26; got unit {}.'.format(unit))
    return '{}{}'.format(block + 1, chr(ord('a') + unit - 1))


def _reshaped(name, array, kind, shown, to_slim):
    """An array in the shape that the other side has for it; `name` is ours."""
    array = np.asarray(array)
    if name == 'logits/weights':
        return array[np.newaxis, np.newaxis] if to_slim else array.reshape(array.shape[2:])
    if kind.grouped and name.endswith('/conv2/weights'):
        return _regrouped(array, shown, to_slim)
    return array


def _regrouped(kernel, shown, to_slim):
    """A grouped kernel `[height, width, group's channels, channels]` from a depthwise one, or the other way round.

    The depthwise one is `[height, width, channels, group's channels]`: channel i of group g adds to result m of the
    group by what is at `[…, g * width + i, m]`, in the grouped kernel at `[…, i, g * width + m]`.
    """
    if kernel.ndim == 4:
        channels, width = kernel.shape[2:] if to_slim else kernel.shape[:1:-1]
    if kernel.ndim != 4 or not width or channels % width:
        raise ValueError('{} must be the kernel of a depthwise convolution, [height, width, groups * width, width], or '
                         'of a grouped one, [height, width, width, groups * width]; its shape is {}.'.format(
                             shown, list(kernel.shape)))
    first, second = (channels // width, width) if to_slim else (width, channels // width)
    size = kernel.shape[:2]
    parts = kernel.reshape(size + (first, second, width)).transpose(0, 1, 3, 2, 4)
    return parts.reshape(size + ((width, channels) if to_slim else (channels, width)))
