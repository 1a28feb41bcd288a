"""Feature pyramids equal plain loops in NumPy, and have the names of object detection's."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from numpy_layers import Reference, fill, random, repeat

from nets.dense import fpn

NARROW = {'depth_multiplier': 1 / 16, 'min_base_depth': 4}


@pytest.mark.parametrize(('known_size', 'is_training'), [(True, False), (False, False), (True, True)])
@pytest.mark.parametrize('sizes', [[(9, 12), (5, 6), (3, 3)], [(8, 11), (4, 6)]])
def test_pyramid_equals_loops(sizes, known_size, is_training):
    values = {level: random('map', [3, *size, level]) for level, size in enumerate(sizes, 3)}
    fed = {level: tf.placeholder(tf.float32, value.shape if known_size else [None, None, None, level])
           for level, value in values.items()}
    with slim.arg_scope(fpn.pyramid_arg_scope(is_training=is_training)), tf.Session() as session:
        levels, end_points = fpn.feature_pyramid(fed, 7, depth=4, first_block=2)
        variables = fill(session)
        actual, named = session.run([levels, end_points], {fed[level]: value for level, value in values.items()})
    reference = Reference(variables, is_training, epsilon=1e-3, bound=6)
    expected, net = {}, None
    for level in sorted(values, reverse=True):
        projected = reference.linear('projection_{}'.format(level - 2), values[level])
        net = projected if net is None else projected + repeat(net, projected.shape[1:3])
        expected[level] = net if level == max(values) else reference.conv('smoothing_{}'.format(level - 2), net)
    for level in range(max(values) + 1, 8):
        expected[level] = reference.conv('bottom_up_block{}'.format(level - 1), expected[level - 1], stride=2)
    assert list(actual) == [3, 4, 5, 6, 7]
    for level, value in expected.items():
        assert np.abs(actual[level] - value).max() < 1e-5 * max(np.abs(value).max(), 1)
        name = 'top_down_block{}' if level <= max(values) else 'bottom_up_block{}'
        assert np.array_equal(named[name.format(level - 1)], actual[level])


def test_variables_are_object_detections():
    """Those of its ssd_resnet50_v1_fpn, where `FeatureExtractor/` is put before."""
    norm = ['BatchNorm/gamma', 'BatchNorm/beta', 'BatchNorm/moving_mean', 'BatchNorm/moving_variance']
    expected = {'{}/{}'.format(scope, name) for scope in ('smoothing_1', 'smoothing_2', 'bottom_up_block5',
                                                          'bottom_up_block6') for name in ['weights', *norm]}
    expected |= {'projection_{}/{}'.format(i, name) for i in (1, 2, 3) for name in ('weights', 'biases')}
    pyramid_fn = fpn.get_pyramid_fn('resnet_v1_50', backbone_options=NARROW)
    with tf.variable_scope('FeatureExtractor'):
        levels, _ = pyramid_fn(tf.placeholder(tf.float32, [1, 65, 96, 3]))
    prefix = 'FeatureExtractor/resnet_v1_50/fpn/'
    names = [v.op.name for v in tf.global_variables()]
    assert {name[len(prefix):] for name in names if name.startswith(prefix)} == expected
    assert {level: net.shape.as_list() for level, net in levels.items()} == {
        3: [1, 9, 12, 256], 4: [1, 5, 6, 256], 5: [1, 3, 3, 256], 6: [1, 2, 2, 256], 7: [1, 1, 1, 256]}
    assert pyramid_fn.backbone_scope == 'resnet_v1_50'
    with tf.variable_scope('FeatureExtractor'):
        pyramid_fn(tf.placeholder(tf.float32, [None, None, None, 3]), reuse=True)
    assert [v.op.name for v in tf.global_variables()] == names


@pytest.mark.parametrize(('network', 'min_level', 'max_level', 'blocks'), [
    ('resnet_v1_14', 2, 4, ['block1', 'block2', 'block3']), ('resnet_v15_18', 4, 5, ['block3', 'block4']),
    ('resnet_cifar_20', 1, 3, ['block2', 'block3'])])
def test_levels_are_the_strides_of_blocks(network, min_level, max_level, blocks):
    pyramid_fn = fpn.get_pyramid_fn(network, min_level, max_level, depth=8, is_training=True,
                                    backbone_options={'depth_multiplier': 1 / 4, 'min_base_depth': 4})
    levels, end_points = pyramid_fn(tf.random_normal([3, 66, 65, 3], seed=1))
    for level, net in levels.items():
        assert net.shape.as_list() == [3, -(-66 // 2 ** level), -(-65 // 2 ** level), 8]
    names = [name[len('top_down_'):] for name in end_points if name.startswith('top_down_')]
    assert sorted(names) == blocks
    variables = [v for v in tf.trainable_variables() if '/fpn/' in v.op.name]
    loss = tf.add_n([tf.reduce_sum(net * tf.random_normal(net.shape, seed=2)) for net in levels.values()])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        gradients = session.run(tf.gradients(loss, variables))
    assert all(np.any(gradient) for gradient in gradients)


@pytest.mark.parametrize(('arguments', 'message'), [
    ({'min_level': 1}, 'min_level of resnet_v1_50 must be one of 2, 3, 4, 5; got 1'),
    ({'max_level': 2}, 'max_level must be a whole number from min_level, 3; got 2'),
    ({'max_level': 7.0}, 'max_level must be a whole number from min_level, 3; got 7.0'),
    ({'network': 'resnet_v1_51'}, 'Unknown network'),
    ({'backbone_options': {'output_stride': 8}}, 'backbone_options may have depth_multiplier, min_base_depth, scope')])
def test_errors_say_what_is_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        fpn.get_pyramid_fn(**{'network': 'resnet_v1_50', **arguments})
