"""`resnet_cifar_*` compute what section 4.2 of He et al. 2015 describes, here in Keras' layers."""

import keras
import keras_reference
import numpy as np
import pytest
import random_weights
import tensorflow.compat.v1 as tf
from golden import assign
from goldens import fill

from nets import nets_factory

pytestmark = pytest.mark.usefixtures('optimised')  # see conftest.py

LIMIT = 1e-5


def reference(units_per_block, arrays):
    """The network on images of any size, filled with our arrays: layers, outputs of the blocks, and probabilities."""
    layers = keras.layers
    filled = []

    def convolve(net, scope, depth, stride=1):
        net = layers.ZeroPadding2D(1)(net)
        conv, norm = layers.Conv2D(depth, 3, stride, use_bias=False), layers.BatchNormalization(epsilon=1e-5)
        filled.append((conv, [scope + '/weights']))
        filled.append((norm, [scope + '/BatchNorm/' + name for name in (
            'gamma', 'beta', 'moving_mean', 'moving_variance')]))
        return norm(conv(net))

    images = keras.Input([None, None, 3])
    net = layers.ReLU()(convolve(images, 'conv1', 16))
    blocks = []
    for i, depth in enumerate((16, 32, 64)):
        for j in range(units_per_block):
            scope = 'block{}/unit_{}/lite_bottleneck_v1/'.format(i + 1, j + 1)
            stride = 2 if i and not j else 1
            residual = layers.ReLU()(convolve(net, scope + 'conv1', depth, stride))
            residual = convolve(residual, scope + 'conv2', depth)
            if stride == 2:  # option A: every other pixel, and zeros in the new channels
                net = layers.Lambda(lambda net, depth=depth: keras.ops.pad(
                    net[:, ::2, ::2], [[0, 0], [0, 0], [0, 0], [depth // 4, depth // 4]]))(net)
            net = layers.ReLU()(layers.Add()([net, residual]))
        blocks.append(net)
    dense = layers.Dense(10)
    filled.append((dense, ['logits/weights', 'logits/biases']))
    model = keras.Model(images, blocks + [dense(layers.GlobalAveragePooling2D()(net))])
    for layer, names in filled:
        layer.set_weights([arrays[name].reshape(weight.shape) for name, weight in zip(names, layer.weights)])
    return model


@pytest.mark.parametrize('name', ['resnet_cifar_20', 'resnet_cifar_32'])
@pytest.mark.parametrize('size', [(32, 32), (33, 33), (28, 31)])
def test_blocks_and_logits_equal_the_papers(name, size):
    shape = (2,) + size + (3,)
    images = tf.placeholder(tf.float32, shape)
    network_fn = nets_factory.get_network_fn(name, 10)
    logits, end_points = network_fn(images)
    arrays = {v.op.name: random_weights.fill_variable(v.op.name, v.shape.as_list()) for v in tf.global_variables()}
    values = fill.images(shape, 1)
    with tf.Session() as session:
        assign(session, [(v, arrays[v.op.name]) for v in tf.global_variables()])
        ours = session.run([end_points[name + '/block{}'.format(i)] for i in (1, 2, 3)] + [logits], {images: values})

    def theirs():
        units_per_block = nets_factory.networks_map[name].layout.num_units[0]
        model = reference(units_per_block, {key[len(name) + 1:]: value for key, value in arrays.items()})
        return [np.asarray(output) for output in model(values, training=False)]

    for actual, expected in zip(ours, keras_reference.eagerly(theirs)):
        assert keras_reference.error(actual, expected) < LIMIT
