"""Four residual networks as tutorials write them, in Keras layers.

They compute in float64, so that the whole difference to them is ours. Layers are named after our scopes, with dots, but
those of `keras_style`, whose names are part of it. What a block ends in is named `block1` and so on.
"""

import re
import string

import keras
import numpy as np
import random_weights
from keras_reference import eagerly

from nets.checkpoints import keras_names

NUM_GROUPS = 32
_KERAS_STYLE = keras_names.kind_of('resnet_keras_50')
_GROUP = re.compile(r'/group_\d+')
_KINDS = {'kernel': 'weights', 'bias': 'biases'}


def small(images, depths, num_units, num_classes):
    """Basic blocks on small images; logits."""
    net = _relu(_conv_norm(images, 'conv1', depths[0], 3, padding='valid'))
    net = _layer('MaxPooling2D', 2, 1, 'same')(net)
    for block, unit, stride, end in _units(num_units):
        name, depth = f'block{block}.unit_{unit}.lite_bottleneck_v1', depths[block - 1]
        shortcut = net if stride == 1 else _conv(net, name + '.shortcut', depth, 1, stride)
        net = _relu(_conv_norm(net, name + '.conv1', depth, 3, stride))
        net = _conv_norm(net, name + '.conv2', depth, 3)
        net = _relu(_add(net, shortcut), end)
    net = _layer('GlobalAveragePooling2D')(net)
    return keras.Model(images, _layer('Dense', num_classes, name='logits')(net))


def keras_style(images, depths, num_units, num_classes):
    """ResNet-50 in the style of Keras' first, with layers such as `res2a_branch2a`; probabilities."""

    def conv(net, name, *args, **kwargs):
        net = _layer('Conv2D', *args, name=name, **kwargs)(net)
        return _layer('BatchNormalization', name=name.replace('res', 'bn') if name != 'conv1' else 'bn_conv1')(net)

    net = _layer('ZeroPadding2D', 3)(images)
    net = _relu(conv(net, 'conv1', depths[0], 7, 2))
    net = _layer('MaxPooling2D', 3, 2)(net)
    for block, unit, stride, end in _units(num_units):
        name, depth = f'res{block + 1}{string.ascii_lowercase[unit - 1]}_branch', depths[block - 1]
        shortcut = conv(net, name + '1', depth * 4, 1, stride) if unit == 1 else net
        net = _relu(conv(net, name + '2a', depth, 1, stride))
        net = _relu(conv(net, name + '2b', depth, 3, padding='same'))
        net = conv(net, name + '2c', depth * 4, 1)
        net = _relu(_add(net, shortcut), end)
    net = _layer('Flatten')(_layer('AveragePooling2D', 7)(net))
    return keras.Model(images, _layer('Dense', num_classes, activation='softmax', name='fc1000')(net))


def resnext(images, depths, num_units, num_classes):
    """ResNeXt of 32 groups, each a convolution of its own, and TensorFlow's padding; probabilities."""
    epsilon = 1.001e-5
    net = _layer('ZeroPadding2D', 3)(images)
    net = _relu(_conv_norm(net, 'conv1', depths[0], 7, 2, padding='valid', epsilon=epsilon))
    net = _layer('MaxPooling2D', 3, 2)(_layer('ZeroPadding2D', 1)(net))
    for block, unit, stride, end in _units(num_units):
        name, width = f'block{block}.unit_{unit}.bottleneck_v1', depths[block - 1] * 2
        shortcut = net
        if unit == 1:
            shortcut = _conv_norm(net, name + '.shortcut', width * 2, 1, stride, use_bias=False, epsilon=epsilon)
        net = _relu(_conv_norm(net, name + '.conv1', width, 1, use_bias=False, epsilon=epsilon))
        net = _relu(_norm(_groups(net, name + '.conv2', width, stride), name + '.conv2', epsilon))
        net = _conv_norm(net, name + '.conv3', width * 2, 1, use_bias=False, epsilon=epsilon)
        net = _relu(_add(net, shortcut), end)
    net = _layer('GlobalAveragePooling2D')(net)
    return keras.Model(images, _layer('Dense', num_classes, activation='softmax', name='logits')(net))


def init_ops(images, depths, num_units, num_classes):
    """Three basic units, and an average pool whose map is flattened; logits."""
    net = _relu(_conv_norm(images, 'conv1', depths[0], 7, 2))
    for block, unit, stride, end in _units(num_units):
        name, depth = f'block{block}.unit_{unit}.lite_bottleneck_v1', depths[block - 1]
        shortcut = net
        if stride != 1 or net.shape[-1] != depth:
            shortcut = _conv_norm(net, name + '.shortcut', depth, 1, stride)
        net = _relu(_conv_norm(net, name + '.conv1', depth, 3, stride))
        net = _conv_norm(net, name + '.conv2', depth, 3)
        net = _relu(_add(net, shortcut), end)
    net = _layer('Flatten')(_layer('AveragePooling2D', 7, 1)(net))
    return keras.Model(images, _layer('Dense', num_classes, name='logits')(net))


def compute(network, depths, num_units, num_classes, images):
    """Runs one of the networks above with golden weights and statistics.

    Args:
      network: The function.
      depths: Widths of the blocks, as we count them.
      num_units: Number of units of each block.
      num_classes: Int.
      images: Array `[batch, height, width, 3]`.

    Returns:
      Two dicts of arrays: all weights, by their layers' and their own names, and the results of the blocks and of all
      of it, 'output'.
    """
    return eagerly(_compute, network, depths, num_units, num_classes, images.astype(np.float64))


def _compute(network, depths, num_units, num_classes, images):
    model = network(keras.Input(images.shape[1:], dtype='float64'), depths, num_units, num_classes)
    weights = {'{}/{}'.format(layer.name, weight.path.rsplit('/', 1)[-1]): weight
               for layer in model.layers for weight in layer.weights}
    for name, weight in weights.items():
        weight.assign(random_weights.fill_variable(slim_name(name), weight.shape))
    names = [f'block{i + 1}' for i in range(len(depths))]
    taps = keras.Model(model.inputs[0], [model.get_layer(name).output for name in names] + [model.outputs[0]])
    values = dict(zip(names + ['output'], [value.numpy() for value in taps(images, training=False)]))
    return {name: weight.numpy() for name, weight in weights.items()}, values


def to_slim(weights):
    """Weights by our names; those of the groups of a convolution are put together, in order."""
    found = {}
    for name, array in weights.items():
        found.setdefault(_GROUP.sub('', slim_name(name)), []).append(array)
    return {name: arrays[0] if len(arrays) == 1 else np.concatenate(arrays, -1) for name, arrays in found.items()}


def slim_name(name):
    """Our name of `layer/weight`."""
    layer, weight = name.split('/')
    return keras_names.slim_name(name, _KERAS_STYLE) or '{}/{}'.format(
        layer.replace('.', '/'), _KINDS.get(weight, weight))


def _units(num_units):
    """Yields for every unit the numbers of its block and itself, its stride, and the block's name if it is the last."""
    for block, number in enumerate(num_units, 1):
        for unit in range(1, number + 1):
            yield block, unit, 2 if unit == 1 and block > 1 else 1, f'block{block}' if unit == number else None


def _layer(kind, *args, **kwargs):
    return getattr(keras.layers, kind)(*args, dtype='float64', **kwargs)


def _conv(net, name, *args, padding='same', **kwargs):
    return _layer('Conv2D', *args, padding=padding, name=name, **kwargs)(net)


def _conv_norm(net, name, *args, epsilon=1e-3, **kwargs):
    """A convolution and batch normalisation; the epsilon is Keras' own unless given."""
    return _norm(_conv(net, name, *args, **kwargs), name, epsilon)


def _norm(net, name, epsilon):
    return _layer('BatchNormalization', epsilon=epsilon, name=name + '.BatchNorm')(net)


def _relu(net, name=None):
    return _layer('ReLU', name=name)(net)


def _add(net, shortcut):
    return _layer('Add')([net, shortcut])


def _groups(net, name, depth, stride):
    """A convolution for each slice of the channels."""
    width = depth // NUM_GROUPS
    slices = [net[:, :, :, i * width:(i + 1) * width] for i in range(NUM_GROUPS)]
    return _layer('Concatenate')([_conv(part, f'{name}.group_{i}', width, 3, stride, use_bias=False)
                                  for i, part in enumerate(slices)])
