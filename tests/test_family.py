"""What holds for every network of the family, each made narrow and short from its own row of the table."""

import inspect
import pickle

import golden
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from goldens import fill
from narrow_rows import narrow

from nets import nets_factory, resnet, resnet_network, resnet_utils, resnet_v1

# Rows that differ in more than their numbers of units and widths.
ROWS = ['resnet_v1_18', 'resnet_v1_50', 'resnet_v1_18_beta', 'resnet_v1_50_beta', 'resnet_v2_50', 'resnet_v15_18',
        'resnet_v15_50', 'resnext_50_32x4d', 'se_resnext_50_32x4d', 'wide_resnet_50_2', 'resnet_cifar_20',
        'resnet_small_18', 'resnet_keras_50', 'resnet_keras_v2_50', 'resnet_nvidia_50']
SIZES = [(64, 64), (65, 65), (64, 81)]


def build(layout, images, scope='net', **kwargs):
    network = resnet.network('net', layout)
    with slim.arg_scope(network.arg_scope()):
        return network(images, scope=scope, **kwargs)


def run(tensors, images, shape, seed=7):
    with tf.Session() as session:
        golden.fill_variables(session)
        return session.run(tensors, {images: fill.images(shape, seed)})


def reachable(layout):
    root = layout.root_block().stride
    return [root * stride for stride in resnet_utils.reachable_output_strides(layout.blocks())]


# Squeeze-and-excitation depends on the mean of the map, which is another one at another density; padding SAME has tests
# of its own.
DENSE = [(name, stride) for name in ROWS for stride in reachable(nets_factory.networks_map[name].layout)[:-1]
         if not name.startswith(('se_', 'resnet_nvidia_'))]


def dense_and_nominal(sessions, name, output_stride, size):
    """The features at an output stride, subsampled to the nominal one, and those at the nominal one."""
    layout, shape, session = narrow(name), (2,) + size + (3,), sessions.get(name)
    with golden.new_variables(session):
        images = tf.placeholder(tf.float32, shape)
        dense, _ = build(layout, images, is_training=False, global_pool=False, output_stride=output_stride,
                         reuse=tf.AUTO_REUSE)
        nominal, _ = build(layout, images, is_training=False, global_pool=False, reuse=True)
        assert dense.shape.as_list()[1] == -(-size[0] // output_stride)
        dense = resnet_utils.subsample(dense, reachable(layout)[-1] // output_stride)
    return session.run([dense, nominal], {images: fill.images(shape, 7)})


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize(('name', 'output_stride'), DENSE)
def test_dense_then_subsample_equals_nominal_stride(name, output_stride, size, sessions):
    a, b = dense_and_nominal(sessions, name, output_stride, size)
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize('size', [(65, 65), (64, 64)])
@pytest.mark.parametrize('output_stride', [4, 8, 16])
def test_with_same_padding_that_holds_where_every_stride_sees_odd_sizes_only(output_stride, size, sessions):
    a, b = dense_and_nominal(sessions, 'resnet_nvidia_50', output_stride, size)
    assert np.allclose(a, b, rtol=1e-4, atol=2e-5) == (size == (65, 65))
    assert size == (65, 65) or np.abs(a - b).max() > 0.01


@pytest.mark.parametrize('name', ROWS)
def test_a_network_trains(name):
    """The gradient reaches every weight, and a step against it lowers the loss."""
    images = tf.placeholder(tf.float32, [4, 33, 32, 3])
    logits, _ = build(narrow(name), images, num_classes=3)
    loss = tf.losses.sparse_softmax_cross_entropy([0, 1, 2, 0], logits)
    gradients = tf.gradients(loss, tf.trainable_variables())
    step = tf.train.GradientDescentOptimizer(1e-3).apply_gradients(zip(gradients, tf.trainable_variables()))
    with tf.Session() as session:
        golden.fill_variables(session)
        feed = {images: fill.images([4, 33, 32, 3], 7)}
        values, before, _ = session.run([gradients, loss, step], feed)
        after = session.run(loss, feed)
    for value, variable in zip(values, tf.trainable_variables()):
        assert np.isfinite(value).all()
        assert np.abs(value).max() > 0, variable.op.name
    assert after < before


@pytest.mark.parametrize('name', ROWS)
def test_reuse_unknown_sizes_and_the_collection_of_end_points(name):
    shape = [2, 47, 64, 3]
    known, unknown = tf.placeholder(tf.float32, shape), tf.placeholder(tf.float32, [None, None, None, 3])
    a, end_points = build(narrow(name), known, num_classes=3, is_training=False)
    variables = list(tf.global_variables())
    b, _ = build(narrow(name), unknown, num_classes=3, is_training=False, reuse=True)
    assert tf.global_variables() == variables
    assert b.shape.as_list() == [None, 3]
    np.testing.assert_allclose(run(a, known, shape), run(b, unknown, shape), rtol=1e-4, atol=1e-5)
    units = [key for key in end_points if key.endswith(('/bottleneck_v1', '/bottleneck_v2', '/lite_bottleneck_v1'))]
    assert len(units) == 2 * len(narrow(name).num_units)
    assert list(end_points)[-4:] == ['global_pool', 'net/logits', 'net/spatial_squeeze', 'predictions']


@pytest.mark.parametrize('name', ROWS)
def test_every_row_takes_slims_arguments_by_name(name):
    size = nets_factory.networks_map[name].default_image_size
    images = tf.placeholder(tf.float32, [1, size + 1, size + 1, 3])
    with slim.arg_scope(nets_factory.arg_scopes_map[name](weight_decay=0.0)):
        net, end_points = nets_factory.networks_map[name](
            images, num_classes=7, is_training=False, global_pool=False, output_stride=None, spatial_squeeze=False,
            reuse=None, scope='other', store_non_strided_activations=True, depth_multiplier=0.5, min_base_depth=8)
    stride = reachable(nets_factory.networks_map[name].layout)[-1]
    assert net.shape.as_list() == [1, size // stride + 1, size // stride + 1, 7]
    assert end_points['predictions'].shape == net.shape
    assert all(v.op.name.startswith('other/') for v in tf.global_variables())


def test_every_network_has_slims_parameters():
    for name, network in nets_factory.networks_map.items():
        parameters = inspect.signature(network).parameters
        assert list(parameters)[:5] == ['inputs', 'num_classes', 'is_training', 'global_pool', 'output_stride']
        assert set(parameters) >= {'spatial_squeeze', 'reuse', 'scope', 'multi_grid', 'store_non_strided_activations',
                                   'depth_multiplier', 'min_base_depth'}
        assert parameters['scope'].default == name.replace('_beta', '')
        assert network.__name__ == name


def test_multi_grid_is_the_unit_rate_of_the_last_block():
    layout = narrow('resnet_v1_50_beta')._replace(num_units=(1, 1, 1, 3))
    shape = [1, 65, 64, 3]
    images = tf.placeholder(tf.float32, shape)
    net, _ = build(layout, images, is_training=False, global_pool=False, output_stride=8, multi_grid=[1, 2, 4])
    by_hand = layout.blocks()
    for unit, rate in zip(by_hand[-1].args, [1, 2, 4]):
        unit['unit_rate'] = rate
    with slim.arg_scope(resnet_utils.resnet_arg_scope()):
        same, _ = resnet_network.build(
            images, by_hand, 'net', layout.root_block(), None, None, False, False, 8, True, False, True, 'net')
    other, _ = build(layout, images, is_training=False, global_pool=False, output_stride=8, reuse=True)
    a, b, c = run([net, same, other], images, shape)
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 1e-2
    with pytest.raises(ValueError, match=r'multi_grid must be .* one for each of the 3 units .*; got \[1, 2\]'):
        build(layout, images, multi_grid=[1, 2])


def test_a_further_variant_is_one_row(monkeypatch):
    """Of the table, of the factory, and nothing else."""
    row = resnet.Layout('basic', (1, 1, 1), depths=(8, 16, 32), root='small', strided_unit='first', se_ratio=0.25,
                        strided_conv='conv1', zero_last_gamma=True)
    builder = resnet.network('se_resnet_8', row, default_image_size=32)
    monkeypatch.setitem(nets_factory.NETWORKS, 'se_resnet_8', nets_factory.Network(
        builder, builder.arg_scope, nets_factory.Preset(32, 'cifar', 0)))
    network_fn = nets_factory.get_network_fn('se_resnet_8', 5, weight_decay=1e-4, is_training=True)
    assert network_fn.default_image_size == 32
    images = tf.placeholder(tf.float32, [2, 32, 32, 3])
    logits, end_points = network_fn(images, output_stride=2)
    assert end_points['se_resnet_8/block3'].shape.as_list() == [2, 16, 16, 32]
    names = [v.op.name for v in tf.trainable_variables()]
    assert 'se_resnet_8/block3/unit_1/lite_bottleneck_v1/se/expand/biases' in names
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        gammas = [session.run(v) for v in tf.trainable_variables() if v.op.name.endswith('conv2/BatchNorm/gamma')]
        assert not np.any(gammas[0])
        assert len(gammas) == 3
        assert np.isfinite(session.run(logits, {images: fill.images([2, 32, 32, 3], 1)})).all()


@pytest.mark.parametrize('unit', ['basic', 'bottleneck'])
@pytest.mark.parametrize('strided_conv', ['conv1', 'conv2'])
@pytest.mark.parametrize('strided_unit', ['first', 'last'])
@pytest.mark.parametrize(('stored', 'output_stride'), [(True, None), (True, 1), (False, 1)])
def test_wherever_the_stride_sits_features_stay(unit, strided_conv, strided_unit, stored, output_stride):
    layout = resnet.Layout(unit, (2, 2), (8, 8), (2, 2), strided_unit, strided_conv, root='small')
    shape = [2, 17, 16, 3]
    images = tf.placeholder(tf.float32, shape)
    nominal, _ = build(layout, images, is_training=False, global_pool=False)
    other, _ = build(layout, images, is_training=False, global_pool=False, output_stride=output_stride, reuse=True,
                     store_non_strided_activations=stored)
    other = resnet_utils.subsample(other, 4 // (4 if output_stride is None else output_stride))
    a, b = run([nominal, other], images, shape)
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


def test_a_stride_that_an_arg_scope_moves_stays_dense_in_the_right_place():
    block = resnet_utils.Block('block', resnet.units.basic, [{'depth': 8, 'stride': 2}, {'depth': 8, 'stride': 1}])
    images = tf.placeholder(tf.float32, [2, 17, 16, 3])
    with slim.arg_scope([resnet.units.basic], strided_conv='conv1'):
        nominal = block(images)
        with tf.variable_scope('', reuse=True):
            dense = resnet_utils.subsample(block(images, output_stride=1), 2)
    a, b = run([nominal, dense], images, [2, 17, 16, 3])
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


def test_networks_with_biases_say_when_the_arg_scope_leaves_them_out():
    network = resnet.network('net', narrow('resnet_keras_50'))
    with slim.arg_scope(resnet_utils.resnet_arg_scope()), pytest.raises(
            ValueError, match=r'The convolutions of net have biases .* build it in .*arg_scope\(net.arg_scope\(\)\)'):
        network(tf.zeros([1, 33, 33, 3]))


def test_network_functions_pickle_and_say_their_columns():
    assert pickle.loads(pickle.dumps(nets_factory.networks_map['resnet_v1_50'])) is resnet_v1.resnet_v1_50
    assert resnet.network('mine', resnet.Layout()).__module__ == __name__
    assert "unit='basic'" in resnet_v1.resnet_v1_18.__doc__


def test_numbers_of_numpy_are_numbers():
    layout = resnet.Layout('basic', tuple(np.array([1, 2])), tuple(np.array([8, 16])), root='small')
    net, _ = resnet.network('net', layout)(tf.zeros([1, 9, 9, 3]), multi_grid=np.array([1, 1]))
    assert net.shape.as_list() == [1, 1, 1, 16]


@pytest.mark.parametrize(('arguments', 'message'), [
    ({'depth_multiplier': 0}, 'depth_multiplier must be a number above 0; got 0'),
    ({'multi_grid': 2}, 'multi_grid must be whole numbers from 1, one for each of the 3 units .* got 2'),
    ({'multi_grid': [1, 1.5, 2]}, 'multi_grid must be whole numbers'),
    ({'num_classes': True}, 'num_classes must be a whole number from 0, or None; got True'),
])
def test_wrong_numbers_are_told_before_anything_is_built(arguments, message):
    images = tf.zeros([1, 33, 33, 3])
    operations = len(tf.get_default_graph().get_operations())
    with pytest.raises(ValueError, match=message):
        resnet_v1.resnet_v1_50(images, **arguments)
    with pytest.raises(ValueError, match='inputs must be floats, prepared as the preset says; got uint8'):
        resnet_v1.resnet_v1_50(np.zeros([1, 33, 33, 3], np.uint8))
    assert len(tf.get_default_graph().get_operations()) == operations


def test_with_a_last_gamma_of_zero_a_unit_starts_as_its_shortcut():
    layout = narrow('resnet_v15_50')._replace(num_units=(2,), depths=(8,), zero_last_gamma=True, root='small')
    images = tf.placeholder(tf.float32, [2, 9, 9, 3])
    _, end_points = build(layout, images)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        a, b = session.run([end_points['net/block1/unit_1/bottleneck_v1'],
                            end_points['net/block1/unit_2/bottleneck_v1']], {images: fill.images([2, 9, 9, 3], 1)})
    assert np.abs(a).max() > 0.1
    np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match='zero_last_gamma=True needs batch normalisation with a gamma'), \
            slim.arg_scope(resnet_utils.resnet_arg_scope(use_batch_norm=False)):
        resnet.network('plain', layout)(images)


def test_the_zeros_of_a_widening_shortcut_are_on_both_sides():
    block = resnet_utils.Block('block', resnet.UNITS['basic'].fn, [{'depth': 10, 'stride': 2, 'shortcut': 'zero_pad'}])
    images = tf.placeholder(tf.float32, [1, 5, 6, 4])
    with slim.arg_scope([slim.conv2d], weights_initializer=tf.zeros_initializer()):
        net = block(images)
    values = np.abs(fill.images([1, 5, 6, 4], 1))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        np.testing.assert_array_equal(session.run(net, {images: values}),
                                      np.pad(values[:, ::2, ::2], [(0, 0), (0, 0), (0, 0), (3, 3)]))


def test_squeeze_and_excitation_scales_by_what_the_means_decide():
    images = tf.placeholder(tf.float32, [2, 5, 6, 8])
    net = resnet.units.squeeze_and_excitation(images, 0.5)
    values = fill.images([2, 5, 6, 8], 1)
    with tf.Session() as session:
        golden.fill_variables(session)
        actual, variables = session.run([net, {v.op.name: v for v in tf.global_variables()}], {images: values})
    means = values.astype(np.float64).mean((1, 2))
    reduced = np.maximum(means @ variables['se/reduce/weights'][0, 0] + variables['se/reduce/biases'], 0)
    scale = 1 / (1 + np.exp(-(reduced @ variables['se/expand/weights'][0, 0] + variables['se/expand/biases'])))
    np.testing.assert_allclose(actual, values * scale[:, None, None], rtol=1e-5, atol=1e-6)
    for ratio in (0.01, 2):
        with pytest.raises(ValueError, match='se_ratio must leave 1 to 8 of 8 channels; got {}'.format(ratio)):
            resnet.units.squeeze_and_excitation(images, ratio)


def test_convolutions_may_keep_their_biases_beside_batch_norm():
    """What the biases add, batch normalisation takes away with the statistics of a batch, and not with others."""
    layout = narrow('resnet_keras_50')
    images = tf.placeholder(tf.float32, [4, 33, 33, 3])
    training, _ = build(layout, images)
    inference, _ = build(layout, images, is_training=False, reuse=True)
    biases = [v for v in tf.trainable_variables() if v.op.name.endswith('biases')]
    assert len(biases) == len([v for v in tf.trainable_variables() if v.op.name.endswith('weights')])
    with tf.Session() as session:
        golden.fill_variables(session)
        feed = {images: fill.images([4, 33, 33, 3], 1)}
        before = session.run([training, inference], feed)
        golden.assign(session, [(v, np.full(v.shape.as_list(), 0.5)) for v in biases])
        after = session.run([training, inference], feed)
    np.testing.assert_allclose(before[0], after[0], rtol=1e-3, atol=1e-3)
    assert np.abs(before[1] - after[1]).max() > 0.1


def test_the_generic_builder_makes_what_a_layout_makes():
    images = tf.placeholder(tf.float32, [2, 33, 33, 3])
    with slim.arg_scope(resnet_utils.resnet_arg_scope()):
        a, _ = resnet.resnet(images, [1, 2], 'basic', num_classes=4, is_training=False, depths=(8, 16), root='small')
        b, end_points = resnet.network('resnet', resnet.Layout('basic', (1, 2), (8, 16), root='small'))(
            images, 4, is_training=False, reuse=True)
    assert list(end_points)[0] == 'resnet/conv1'
    a, b = run([a, b], images, [2, 33, 33, 3])
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(('columns', 'message'), [
    ({'unit': 'basci'}, r"unit must be one of 'basic', 'bottleneck', 'bottleneck_v2'; got 'basci'"),
    ({'root': 'tiny'}, r"root must be one of 'slim', .*; got 'tiny'"),
    ({'strided_unit': 'middle'}, r"strided_unit must be one of 'first', 'last'; got 'middle'"),
    ({'num_units': ()}, r'num_units must be whole numbers from 1, one for each block; got \(\)'),
    ({'num_units': (2, 0)}, r'num_units must be whole numbers from 1.* got \(2, 0\)'),
    ({'num_units': 2}, r'num_units must be whole numbers .* got 2'),
    ({'num_units': (True, 1)}, r'num_units must be whole numbers'),
    ({'depths': (64, 128)}, r'depths must be .*, one for each of the 4 blocks; got \(64, 128\)'),
    ({'depths': (-8, 8, 8, 8)}, r'depths must be whole numbers from 1'),
    ({'depths': ('8', '8', '8', '8')}, r"depths must be whole numbers from 1"),
    ({'strides': (1,)}, r'strides must be .*, one for each of the 4 blocks; got \(1,\)'),
    ({'strides': (1, 1.5, 2, 2)}, r'strides must be whole numbers'),
    ({'unit': [2, 2]}, r"unit must be one of 'basic', .*; got \[2, 2\]"),
    ({'root': None}, r"root must be one of 'slim', .*; got None"),
    ({'root_multiplier': 0}, r'root_multiplier must be a number above 0; got 0'),
    ({'cardinality': -2}, r'cardinality must be whole numbers from 1; got \[-2\]'),
    ({'strided_conv': 'conv4'}, r"strided_conv of the kind 'bottleneck' must be one of 'conv1', .*; got 'conv4'"),
    ({'unit': 'basic', 'strided_conv': 'conv3'}, r"strided_conv of the kind 'basic' .* got 'conv3'"),
    ({'padding': 'same'}, r"padding must be one of 'explicit', 'SAME'; got 'same'"),
    ({'shortcut': 'none'}, r"shortcut must be one of 'projection', .*; got 'none'"),
    ({'unit': 'basic', 'cardinality': 32}, r"Units of the kind 'basic' have no cardinality; got 32"),
    ({'unit': 'bottleneck_v2', 'se_ratio': 0.1}, r"Units of the kind 'bottleneck_v2' have no se_ratio; got 0.1"),
    ({'depths': (8, 8, 8, 8), 'group_width': 4}, r'group_width=4 leaves no channel at a base depth of 8'),
])
def test_a_wrong_column_is_told_when_the_network_is_made(columns, message):
    with pytest.raises(ValueError, match=message):
        resnet.network('wrong', resnet.Layout()._replace(**columns))


@pytest.mark.parametrize(('columns', 'message'), [
    ({'shortcut': 'identity'}, r"depth 32 on inputs of depth 64 cannot have an identity .*; use shortcut='projection'"),
    ({'shortcut': 'zero_pad'}, r"depth 32 on inputs of depth 64 cannot have zeros .*; use shortcut='projection'"),
])
def test_a_wrong_column_of_the_units_is_told_when_they_are_built(columns, message):
    with pytest.raises(ValueError, match=message):
        resnet.network('wrong', resnet.Layout(num_units=(1,), depths=(8,))._replace(**columns))(
            tf.zeros([1, 33, 33, 3]))


def test_columns_of_the_arg_scope_are_not_taken_in_silence():
    with pytest.raises(TypeError, match='Give batch_norm_epsilon to resnet_utils.resnet_arg_scope; got .*0.001'):
        resnet.resnet(tf.zeros([1, 33, 33, 3]), [1], batch_norm_epsilon=1e-3)
    with pytest.raises(TypeError, match=r"resnet\(\): got an unexpected keyword argument 'colour'"):
        resnet.resnet(tf.zeros([1, 33, 33, 3]), [1], colour=3)


@pytest.mark.parametrize(('pool', 'size'), [((3, 2, 'VALID'), 4), (None, 6)])
def test_images_too_small_for_the_root_are_told(pool, size):
    root = resnet_network.Root((('conv1', 8, 7, 2, 'VALID' if pool is None else 'explicit'),), pool, {})
    network = resnet.network('net', resnet.Layout(num_units=(1,), root=root))
    with pytest.raises(ValueError, match='inputs of {} x 40 are too small for the root block'.format(size)):
        network(tf.zeros([1, size, 40, 3]))
    network(tf.zeros([1, 7, 40, 3]))


def test_units_of_every_block_are_end_points():
    blocks = [resnet_v1.resnet_v1_block('block1', 2, 1, 2),
              resnet_utils.Block('block2', unit_fn=resnet.UNITS['basic'].fn, base_depth=4, num_units=1, stride=1)]
    _, end_points = resnet_v1.resnet_v1(tf.zeros([1, 33, 33, 3]), blocks, scope='net')
    assert 'net/block1/unit_1/bottleneck_v1' in end_points
    assert 'net/block2/unit_1/lite_bottleneck_v1' in end_points
