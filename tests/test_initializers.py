"""Initializers by name or object, and what they draw in real layers."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import initializers, layers, resnet, resnet_utils

# 3 x 3 x 64 inputs and 3 x 3 x 128 outputs of each unit.
SHAPE, FAN_IN, FAN_OUT = (3, 3, 64, 128), 9 * 64, 9 * 128
FAN_AVG = (FAN_IN + FAN_OUT) / 2


def drawn(kernel_size=3, depth=128, channels=64, **kwargs):
    """Weights and biases of a layer in the arg scope, as they are drawn."""
    with slim.arg_scope(resnet_utils.resnet_arg_scope(use_batch_norm=False, **kwargs)):
        layers.conv2d(tf.zeros([1, 5, 5, channels]), depth, kernel_size, scope='conv')
    tf.set_random_seed(1)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(tf.global_variables())


# Variance, and the largest magnitude in standard deviations (of the uniform: the square root of 3; of the normal ones,
# which are cut at two standard deviations of the uncut distribution: 2 / 0.87962566).
UNIFORM, TRUNCATED = 3 ** 0.5, 2 / 0.87962566103423978


@pytest.mark.parametrize(('initializer', 'variance', 'largest'), [
    (None, 2 / FAN_IN, 2 / 0.87962566),
    ('xavier', 1 / FAN_AVG, UNIFORM),
    ('glorot_uniform', 1 / FAN_AVG, UNIFORM),
    ('glorot_normal', 1 / FAN_AVG, TRUNCATED),
    ('he_uniform', 2 / FAN_IN, UNIFORM),
    ('he_normal', 2 / FAN_IN, TRUNCATED),
    ('lecun_uniform', 1 / FAN_IN, UNIFORM),
    ('lecun_normal', 1 / FAN_IN, TRUNCATED),
    ('variance_scaling', 1 / FAN_IN, TRUNCATED),
    ('truncated_normal', (0.05 * 0.87962566) ** 2, TRUNCATED),
    ('random_normal', 0.05 ** 2, None),
    ('random_uniform', 0.1 ** 2 / 12, UNIFORM),
    (slim.xavier_initializer(), 1 / FAN_AVG, UNIFORM),
    (slim.variance_scaling_initializer(), 2 / FAN_IN, None),
    (tf.variance_scaling_initializer(2.0, 'fan_out'), 2 / FAN_OUT, TRUNCATED),
    (tf.glorot_uniform_initializer, 1 / FAN_AVG, UNIFORM),
    (slim.xavier_initializer, 1 / FAN_AVG, UNIFORM),  # forgotten parentheses
])
def test_moments_of_what_is_drawn(initializer, variance, largest):
    weights, biases = drawn(weights_initializer=initializer)
    assert weights.shape == SHAPE
    std = variance ** 0.5
    # Six standard errors of the mean and of the variance of 73,728 values.
    assert abs(weights.mean()) < 6 * std / weights.size ** 0.5
    assert abs(weights.var() / variance - 1) < 6 * (2 / weights.size) ** 0.5 + 0.002
    if largest:
        assert 0.99 * largest < np.abs(weights).max() / std < 1.01 * largest
    assert not biases.any()


def test_variances_count_the_fan_of_each_layer():
    """The same name has another variance in another layer."""
    weights, _ = drawn(kernel_size=1, depth=512, channels=256, weights_initializer='he_normal')
    assert weights.var() == pytest.approx(2 / 256, rel=0.03)


def test_orthogonal_filters():
    weights, _ = drawn(weights_initializer='orthogonal')
    flat = weights.reshape(FAN_IN, 128)
    np.testing.assert_allclose(flat.T @ flat, np.eye(128), atol=1e-5)


@pytest.mark.parametrize(('initializer', 'value'), [
    ('zeros', 0), ('ones', 1), ('constant', 0), (0.25, 0.25), (tf.constant_initializer(0.5), 0.5),
    (tf.ones_initializer, 1)])
def test_constants(initializer, value):
    weights, biases = drawn(weights_initializer=initializer, biases_initializer=initializer)
    assert (weights == value).all()
    assert (biases == value).all()


def test_values_from_an_array():
    values = np.random.RandomState(1).randn(*SHAPE)
    weights, biases = drawn(weights_initializer=values, biases_initializer=np.arange(128))
    np.testing.assert_array_equal(weights, values.astype(np.float32))
    np.testing.assert_array_equal(biases, np.arange(128))


def test_an_array_of_another_shape_is_told():
    with pytest.raises(ValueError, match=r'value of shape \[2, 2\] cannot fill a variable of shape \[3, 3, 64, 128\]'):
        drawn(weights_initializer=np.zeros((2, 2)))


def test_an_unknown_name_is_told():
    with pytest.raises(ValueError, match=r"Unknown initializer 'xaviar'; there are .*xavier, .*zeros"):
        resnet_utils.resnet_arg_scope(weights_initializer='xaviar')
    assert initializers.get('he_normal') is not None


@pytest.mark.skipif(tf.__version__.startswith('1.'), reason='it has no Keras 3')
def test_initializers_that_repeat_themselves_are_told():
    import keras
    for initializer in (keras.initializers.HeNormal(), keras.initializers.HeNormal):
        with pytest.raises(ValueError, match="Keras' initializers draw the same numbers"):
            initializers.get(initializer)
    with pytest.raises(ValueError, match='must be a name, a function, a number or an array of numbers; got {}'):
        initializers.get({})


def test_every_layer_of_a_network_has_the_initializers_of_the_arg_scope():
    network = resnet.network('net', resnet.Layout('basic', (1, 1), depths=(4, 8), root='small', se_ratio=0.5,
                                                  conv_biases=True))
    with slim.arg_scope(network.arg_scope(weights_initializer=0.25, biases_initializer=0.5)):
        network(tf.zeros([1, 9, 9, 3]), 3)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        values = session.run({v.op.name: v for v in tf.global_variables()})
    assert all((value == 0.25).all() for name, value in values.items() if name.endswith('weights'))
    biases = [name for name in values if name.endswith('biases')]
    assert all((values[name] == 0.5).all() for name in biases)
    assert len(biases) == len([name for name in values if name.endswith('weights')])
