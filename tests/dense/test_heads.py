"""The arithmetic of heads equals that of plain loops in NumPy."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from numpy_layers import Reference, conv2d, fill, grid_means, moments, random, resize, sliding_means

from nets.dense import heads, layers

CLASSES = 3
LIMIT = 1e-5


def run(head, net, output_stride, low_level=None, is_training=False, known_size=True, **options):
    """Runs a head on maps: all end points, the variables' values before, and those after the update operations."""
    low_level = low_level or {}
    with tf.Graph().as_default(), tf.Session() as session:
        shape = [len(net), *(net.shape[1:3] if known_size else (None, None)), net.shape[3]]
        fed = tf.placeholder(tf.float32, shape)
        maps = {stride: tf.constant(value, tf.float32) for stride, value in low_level.items()}
        features = heads.Features(fed, output_stride, is_training, maps.__getitem__)
        with slim.arg_scope(layers.head_arg_scope(is_training=is_training)):
            logits, end_points = heads.HEADS[head].fn(features, CLASSES, **options)
        assert logits is end_points['logits/semantic']
        values = fill(session)
        result = session.run(end_points, {fed: net})
        session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS), {fed: net})
        after = session.run({v.op.name: v for v in tf.global_variables()})
    return result, values, after


def assert_equal(actual, expected):
    assert set(actual) == set(expected)
    for name, value in expected.items():
        assert actual[name].shape == value.shape, name
        assert np.abs(actual[name] - value).max() <= LIMIT * max(np.abs(value).max(), 1), name


def aspp(reference, net, rates, pooled, expected):
    """The pyramid of DeepLab v3; adds its end points to `expected`."""
    size = net.shape[1:3]
    if pooled is not None:
        expected['image_pooling'] = resize(reference.conv('image_pooling', pooled), size)
    expected['aspp0'] = reference.conv('aspp0', net)
    for i, rate in enumerate(rates, 1):
        expected['aspp{}'.format(i)] = reference.conv('aspp{}'.format(i), net, rate)
    expected['concat_projection'] = reference.conv('concat_projection', np.concatenate(list(expected.values()), 3))
    return expected['concat_projection']


def image_mean(net):
    return net.mean((1, 2), keepdims=True)


@pytest.mark.parametrize('separable', [False, True])
@pytest.mark.parametrize(('output_stride', 'size', 'rates'), [
    (16, (21, 20), (6, 12, 18)), (8, (38, 39), (12, 24, 36)), (32, (11, 12), (3, 6, 9))])
def test_deeplab_v3_has_the_rates_of_its_output_stride(output_stride, size, rates, separable):
    net = random('net', [1, *size, 4])
    actual, values, _ = run('deeplab_v3', net, output_stride, depth=3, separable_conv=separable)
    expected, reference = {}, Reference(values)
    projected = aspp(reference, net, rates, image_mean(net), expected)
    expected['logits/semantic'] = reference.linear('logits/semantic', projected)
    assert_equal(actual, expected)
    assert ('aspp1/weights' in values) != separable


@pytest.mark.parametrize('known_size', [True, False])
@pytest.mark.parametrize(('crop_size', 'stride', 'window'), [
    (33, 1, (5, 5)), ((48, 49), 2, (6, 7)), ((48, 200), 1, (6, 10)), (500, 1, (9, 10))])
def test_image_pooling_averages_crops(crop_size, stride, window, known_size):
    net = random('net', [2, 9, 10, 4])
    actual, values, _ = run('deeplab_v3', net, 8, depth=3, atrous_rates=(), image_pooling_crop_size=crop_size,
                            image_pooling_stride=stride, known_size=known_size)
    expected, reference = {}, Reference(values)
    projected = aspp(reference, net, (), sliding_means(net, window, stride), expected)
    expected['logits/semantic'] = reference.linear('logits/semantic', projected)
    assert_equal(actual, expected)


@pytest.mark.parametrize(('separable', 'known_size'), [(True, True), (False, False)])
@pytest.mark.parametrize(('size', 'low_sizes'), [((5, 6), {4: (17, 21)}), ((4, 5), {8: (8, 10), 4: (16, 20)})])
def test_deeplab_v3plus_refines_with_finer_features(size, low_sizes, separable, known_size):
    net = random('net', [2, *size, 4])
    low_level = {stride: random('low', [2, *low, 5]) for stride, low in low_sizes.items()}
    strides = sorted(low_sizes, reverse=True)
    actual, values, _ = run('deeplab_v3plus', net, 16, low_level, depth=3, atrous_rates=(1, 2), image_pooling=False,
                            decoder_output_stride=strides[0] if len(strides) == 1 else strides, decoder_depth=4,
                            projection_depth=2, separable_conv=separable, known_size=known_size)
    expected, reference = {}, Reference(values)
    net = aspp(reference, net, (1, 2), None, expected)
    for suffix, stride in zip(['', '_1'], strides):
        projection = 'decoder/feature_projection0' + suffix
        expected[projection] = reference.conv(projection, low_level[stride])
        net = np.concatenate([resize(net, low_sizes[stride]), expected[projection]], 3)
        for i in range(2):
            name = 'decoder/decoder_conv{}{}'.format(i, suffix)
            plain = 'decoder/decoder_conv0{0}/decoder_conv0{0}_{1}'.format(suffix, i + 1)
            net = expected[name] = reference.conv(name if separable else plain, net)
    expected['logits/semantic'] = reference.linear('logits/semantic', net)
    assert_equal(actual, expected)


@pytest.mark.parametrize(('options', 'output_stride', 'size', 'rates'), [
    ({}, 8, (26, 27), (6, 12, 18, 24)), ({}, 16, (14, 13), (3, 6, 9, 12)),
    ({'atrous_rates': (1, 3)}, 32, (5, 6), (1, 3))])
def test_deeplab_v2_sums_its_branches(options, output_stride, size, rates):
    net = random('net', [2, *size, 4])
    actual, values, _ = run('deeplab_v2', net, output_stride, **options)
    reference = Reference(values)
    expected = {scope: reference.linear(scope, net, rate)
                for scope, rate in zip(['fc1_voc12_c{}'.format(i) for i in range(4)], rates)}
    expected['logits/semantic'] = sum(expected.values())
    assert_equal(actual, expected)


@pytest.mark.parametrize(('stride', 'sizes'), [
    (32, {}), (16, {16: (5, 6)}), (8, {16: (5, 6), 8: (9, 12)}), (None, {16: (6, 6), 8: (11, 11)})])
def test_fcn_adds_the_scores_of_finer_features(stride, sizes):
    net = random('net', [2, 3, 3, 4])
    low_level = {stride: random('low', [2, *size, 5]) for stride, size in sizes.items()}
    actual, values, _ = run('fcn', net, 32, low_level, stride=stride)
    expected, reference = {}, Reference(values)
    net = reference.linear('logits/semantic', net)
    for finer, size in sizes.items():
        scope = 'logits/skip_{}'.format(finer)
        net = expected[scope] = resize(net, size) + reference.linear(scope, low_level[finer])
    expected['logits/semantic'] = net
    assert_equal(actual, expected)


@pytest.mark.parametrize('known_size', [True, False])
@pytest.mark.parametrize(('size', 'bins'), [((6, 12), (1, 2, 3, 6)), ((5, 7), (1, 2, 3, 6)), ((13, 8), (1, 4))])
def test_psp_averages_over_grids(size, bins, known_size):
    net = random('net', [2, *size, 8])
    actual, values, _ = run('psp', net, 8, depth=4, bins=bins, known_size=known_size)
    expected, branches, reference = {}, [net], Reference(values)
    for n in bins:
        scope = 'pyramid_pooling/pool{}'.format(n)
        expected[scope] = reference.conv(scope, grid_means(net, n))
        branches.append(resize(expected[scope], size))
    assert expected[scope].shape[3] == 8 // len(bins)
    net = reference.conv('pyramid_pooling/concat_projection', np.concatenate(branches, 3))
    expected['pyramid_pooling/concat_projection'] = net
    expected['logits/semantic'] = reference.linear('logits/semantic', net)
    assert_equal(actual, expected)


def test_training_normalises_with_the_batch_and_moves_the_averages():
    net = random('net', [3, 5, 6, 4])
    actual, values, after = run('deeplab_v3', net, 16, is_training=True, depth=3, atrous_rates=(1, 2), keep_prob=1.0)
    expected, reference = {}, Reference(values, is_training=True)
    projected = aspp(reference, net, (1, 2), image_mean(net), expected)
    expected['logits/semantic'] = reference.linear('logits/semantic', projected)
    assert_equal(actual, expected)
    mean, variance = moments(conv2d(net, values['aspp0/weights']))
    for name, new in (('mean', mean), ('variance', variance * 90 / 89)):  # of 3 x 5 x 6 values, unbiased
        name = 'aspp0/BatchNorm/moving_' + name
        assert np.allclose(after[name], 0.9997 * values[name] + 0.0003 * new, rtol=0, atol=1e-7)
    assert np.array_equal(after['aspp0/weights'], values['aspp0/weights'].astype(np.float32))


@pytest.mark.parametrize(('head', 'last'), [
    ('deeplab_v3', 'concat_projection'), ('psp', 'pyramid_pooling/concat_projection')])
def test_dropout_drops_in_training_only(head, last):
    net = random('net', [2, 7, 8, 4])
    features = heads.Features(tf.constant(net, tf.float32), 8, True, None)
    with tf.Session() as session, slim.arg_scope(layers.head_arg_scope()):
        for is_training in (True, False):
            with tf.variable_scope('', reuse=tf.AUTO_REUSE):
                _, end_points = heads.HEADS[head].fn(features._replace(is_training=is_training), CLASSES, keep_prob=0.5,
                                                     depth=50)
            session.run(tf.global_variables_initializer())
            convolved = end_points['logits/semantic'].op.inputs[0]  # what the biases are added to
            read, before = session.run([convolved.op.inputs[0], end_points[last]])
            kept = read[before > 0] / before[before > 0]
            if is_training:
                assert set(np.round(kept, 5)) == {0, 2}
                assert 0.4 < (kept == 0).mean() < 0.6
            else:
                assert np.array_equal(read, before)


@pytest.mark.parametrize(('size', 'new_size'), [
    ((3, 4), (9, 13)), ((9, 7), (4, 3)), ((1, 1), (5, 4)), ((5, 4), (1, 1))])
def test_resizing_keeps_the_corners(size, new_size):
    net = random('net', [2, *size, 3])
    with tf.Session() as session:
        for dtype, limit in ((tf.float32, 1e-6), (tf.float16, 1e-3)):
            resized = layers.resize_bilinear(tf.constant(net, dtype), new_size)
            assert resized.dtype == dtype
            assert resized.shape.as_list() == [2, *new_size, 3]
            assert np.allclose(session.run(resized), resize(net, new_size), rtol=0, atol=limit * 4)
    fed = tf.constant(net)
    assert layers.resize_bilinear(fed, size) is fed


def test_initial_weights_and_decay_are_deeplabs():
    net = tf.zeros([1, 4, 4, 64])
    with slim.arg_scope(layers.head_arg_scope(weight_decay=0.5)), tf.Session() as session:
        layers.classify(layers.separable_conv2d(net, 64, scope='a'), 64)
        session.run(tf.global_variables_initializer())
        values = session.run({v.op.name: v for v in tf.trainable_variables()})
        losses = session.run(tf.losses.get_regularization_losses())
    for name, stddev in (('a_depthwise/depthwise_weights', 0.33), ('a_pointwise/weights', 0.06),
                         ('semantic/weights', 0.01)):
        assert 0.8 < values[name].std() / stddev < 0.95  # of a normal distribution cut at two deviations: 0.88
        assert np.abs(values[name]).max() <= 2 * stddev
    expected = [0.25 * (values[name] ** 2).sum() for name in ('a_pointwise/weights', 'semantic/weights')]
    assert np.allclose(losses, expected, rtol=1e-5)
