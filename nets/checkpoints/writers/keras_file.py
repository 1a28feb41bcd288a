"""Writes the `.weights.h5` of Keras 3 for the networks of Keras Applications, without Keras.

Keras finds a layer's weights by its class and its number among the layers of that class (`layers/conv2d_3/vars/0`), in
the model's order: that in which layers are computed, and for those of equal distance from the end, that in which they
were made. So the projection of a unit (`0_conv`) comes just before its last convolution.
"""

import collections
import re

_FIRST = ('conv1_conv', 'conv1_bn')
_UNIT = ('preact_bn', '1_conv', '1_bn', '2_conv', '2_bn', '0_conv', '3_conv', '0_bn', '3_bn')
_LAST = ('post_bn', 'predictions')
_UNIT_LAYER = re.compile(r'conv(\d+)_block(\d+)_(\w+)')

# Class of a layer, in the words of Keras' paths, and its weights in the order in which it makes them.
_NORMALIZATION = ('batch_normalization', ('gamma', 'beta', 'moving_mean', 'moving_variance'))
_DEPTHWISE = ('depthwise_conv2d', ('depthwise_kernel', 'bias'))


def write(path, arrays):
    """Writes a file.

    Args:
        path: The file; Keras insists on an ending of `.weights.h5`.
        arrays: Dict from `layer/weight`, in Keras' current names, to array.

    Returns:
        A list of the path.

    Raises:
        ValueError: There is no such layer or weight in any of the networks.
        OSError: The file cannot be written.
    """
    import h5py  # comes with TensorFlow; slow to import
    layers = collections.defaultdict(dict)
    for name, array in arrays.items():
        layer, _, weight = name.rpartition('/')
        layers[layer][weight] = array
    numbers = collections.Counter()
    with h5py.File(path, 'w') as file:
        for layer in sorted(layers, key=_position):
            kind, order = _class_of(layer, layers[layer])
            number = numbers[kind]
            numbers[kind] += 1
            group = file.create_group(f'layers/{kind}{f"_{number}" if number else ""}/vars')
            group.attrs['name'] = layer
            for weight, array in layers[layer].items():
                group[str(order.index(weight))] = array
    return [path]


def _position(layer):
    """What sorts the layers as the model has them."""
    if layer in _FIRST:
        return 0, 0, 0, _FIRST.index(layer)
    if layer in _LAST:
        return 2, 0, 0, _LAST.index(layer)
    match = _UNIT_LAYER.fullmatch(layer)
    if not match or match.group(3) not in _UNIT:
        raise ValueError(f'The networks of Keras Applications have no layer {layer!r}; they have '
                         f'{", ".join(_FIRST + _LAST)} and those like conv2_block1_{{{",".join(_UNIT)}}}.')
    return 1, int(match.group(1)), int(match.group(2)), _UNIT.index(match.group(3))


def _class_of(layer, weights):
    """The class of a layer, and the order of its weights."""
    if 'depthwise_kernel' in weights:
        kind = _DEPTHWISE
    elif layer.endswith('_bn'):
        kind = _NORMALIZATION
    else:
        kind = ('dense' if layer == 'predictions' else 'conv2d', ('kernel', 'bias'))
    unknown = sorted(set(weights) - set(kind[1]))
    if unknown:
        raise ValueError(f'The layer {layer!r} has the weights {", ".join(kind[1])}; got {", ".join(unknown)}.')
    return kind
