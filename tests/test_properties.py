"""What holds for every residual network, at even and at odd sizes."""

import os
import subprocess
import sys

import golden
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from goldens import fill

from nets import layers, nets_factory, resnet_utils, resnet_v1, resnet_v2

VERSIONS = [1, 2]
SIZES = [(64, 64), (65, 65), (64, 81)]


def tiny(images, version, scope='net', **kwargs):
    """A network of four narrow blocks."""
    module = [resnet_v1, resnet_v2][version - 1]
    block = getattr(module, 'resnet_v{}_block'.format(version))
    blocks = [block('block1', 2, 2, 2), block('block2', 4, 2, 2), block('block3', 4, 2, 2), block('block4', 8, 2, 1)]
    with slim.arg_scope(module.resnet_arg_scope()):
        return getattr(module, 'resnet_v{}'.format(version))(images, blocks, scope=scope, **kwargs)


def run(tensors, feed):
    with tf.Session() as session:
        golden.fill_variables(session)
        return session.run(tensors, feed)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('output_stride', [4, 8, 16, 32, 8.0])
@pytest.mark.parametrize('version', VERSIONS)
def test_dense_then_subsample_equals_nominal_stride(version, output_stride, size, sessions):
    session = sessions.get(version)
    with golden.new_variables(session):
        images = tf.placeholder(tf.float32, (2,) + size + (3,))
        dense, _ = tiny(images, version, is_training=False, global_pool=False, output_stride=output_stride,
                        reuse=tf.AUTO_REUSE)
        nominal, _ = tiny(images, version, is_training=False, global_pool=False, reuse=True)
        dense = resnet_utils.subsample(dense, int(32 // output_stride))
    a, b = session.run([dense, nominal], {images: fill.images((2,) + size + (3,), 7)})
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize('size', [(8, 8), (9, 9), (8, 9)])
@pytest.mark.parametrize('kernel_size', [2, 3, 5, 7])
@pytest.mark.parametrize('stride', [2, 3])
def test_conv2d_same_equals_convolution_then_subsample(stride, kernel_size, size):
    images = tf.placeholder(tf.float32, (2,) + size + (3,))
    strided = resnet_utils.conv2d_same(images, 4, kernel_size, stride, scope='conv')
    dense = layers.conv2d(images, 4, kernel_size, padding='SAME', scope='conv', reuse=True)
    a, b = run([strided, resnet_utils.subsample(dense, stride)], {images: fill.images((2,) + size + (3,), 3)})
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('rate', [1, 2])
def test_convolutions_are_found_by_name(rate):
    layers.conv2d(tf.zeros([1, 9, 9, 3]), 4, 3, rate=rate, scope='conv')
    assert tf.get_default_graph().get_operation_by_name('conv/Conv2D').type == 'Conv2D'


def test_a_strided_convolution_needs_no_pad_operation():
    tiny(tf.placeholder(tf.float32, [2, 65, 65, 3]), 1, num_classes=3)
    assert not [op.name for op in tf.get_default_graph().get_operations() if op.type == 'Pad']


@pytest.mark.parametrize('output_stride', [None, 8])
@pytest.mark.parametrize('version', VERSIONS)
def test_unknown_batch_height_and_width_change_nothing(version, output_stride):
    unknown = tf.placeholder(tf.float32, [None, None, None, 3])
    known = tf.placeholder(tf.float32, [2, 47, 64, 3])
    kwargs = {'num_classes': 3, 'is_training': False, 'output_stride': output_stride}
    a, _ = tiny(unknown, version, **kwargs)
    b, _ = tiny(known, version, reuse=True, **kwargs)
    assert a.shape.as_list() == [None, 3]
    images = fill.images([2, 47, 64, 3], 5)
    a, b = run([a, b], {unknown: images, known: images})
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('version', VERSIONS)
def test_reuse_shares_every_variable(version):
    images = tf.placeholder(tf.float32, [2, 33, 33, 3])
    a, _ = tiny(images, version, num_classes=3)
    variables = list(tf.global_variables())
    losses = list(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))
    b, _ = tiny(images, version, num_classes=3, reuse=True)
    assert tf.global_variables() == variables
    assert tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES) == losses
    a, b = run([a, b], {images: fill.images([2, 33, 33, 3], 1)})
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize('size', [(48, 48), (49, 65)])
@pytest.mark.parametrize('version', VERSIONS)
def test_gradients_at_output_stride_8_are_finite(version, size):
    images = tf.placeholder(tf.float32, (2,) + size + (3,))
    net, _ = tiny(images, version, num_classes=3, global_pool=False, output_stride=8, spatial_squeeze=False)
    gradients = tf.gradients(tf.reduce_sum(tf.square(net)), tf.trainable_variables())
    values = run(gradients, {images: fill.images((2,) + size + (3,), 2)})
    assert all(np.isfinite(value).all() for value in values)
    assert all(np.abs(value).max() > 0 for value, variable in zip(values, tf.trainable_variables())
               if variable.op.name.endswith('weights'))


@pytest.mark.parametrize('is_training', [True, False])
@pytest.mark.parametrize('dtype', [tf.float16, tf.bfloat16])
@pytest.mark.parametrize('version', VERSIONS)
def test_half_precision_networks_keep_float32_statistics(version, dtype, is_training):
    images = tf.placeholder(dtype, [2, 33, 33, 3])
    net, _ = tiny(images, version, num_classes=3, is_training=is_training)
    assert net.dtype == dtype
    for variable in tf.global_variables():
        expected = tf.float32 if '/BatchNorm/' in variable.op.name or variable.op.name.split('/')[-2] in (
            'preact', 'postnorm') else dtype
        assert variable.dtype.base_dtype == expected, variable.op.name


@pytest.mark.parametrize('version', VERSIONS)
def test_is_training_may_be_a_tensor(version):
    images = tf.placeholder(tf.float32, [4, 33, 33, 3])
    is_training = tf.placeholder(tf.bool, [])
    either, _ = tiny(images, version, num_classes=3, is_training=is_training)
    training, _ = tiny(images, version, num_classes=3, is_training=True, reuse=True)
    inference, _ = tiny(images, version, num_classes=3, is_training=False, reuse=True)
    values = fill.images([4, 33, 33, 3], 1)
    with tf.Session() as session:
        golden.fill_variables(session)
        for value, same, other in ((True, training, inference), (False, inference, training)):
            a, b, c = session.run([either, same, other], {is_training: value, images: values})
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
            assert np.abs(a - c).max() > 1e-2


def test_is_training_none_leaves_the_callers_arg_scope_alone():
    images = tf.placeholder(tf.float32, [2, 33, 33, 3])
    with slim.arg_scope([slim.batch_norm], is_training=False):
        tiny(images, 1, is_training=None)
    assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    tiny(images, 1, is_training=None, scope='other')
    assert tf.get_collection(tf.GraphKeys.UPDATE_OPS)


def test_arg_scopes_of_slim_reach_the_layers():
    images = tf.placeholder(tf.float32, [2, 33, 33, 3])
    block = resnet_v1.resnet_v1_block('block1', 2, 1, 1)
    with slim.arg_scope(resnet_v1.resnet_arg_scope()), \
            slim.arg_scope([slim.conv2d], trainable=False, activation_fn=tf.nn.relu6,
                           weights_regularizer=slim.l1_regularizer(0.5)), \
            slim.arg_scope([slim.max_pool2d], padding='VALID'), \
            slim.arg_scope([slim.model_variable, slim.variable], device='/cpu:0'):
        _, end_points = resnet_v1.resnet_v1(images, [block], 3, is_training=False)
    assert not [v for v in tf.trainable_variables() if v.op.name.endswith('weights')]
    assert end_points['resnet_v1/conv1'].op.type == 'Relu6'
    assert end_points['resnet_v1/block1'].shape.as_list() == [2, 8, 8, 8]
    losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    assert losses
    assert all('l1_regularizer' in loss.name for loss in losses)
    assert all(v.device.lower().endswith('cpu:0') for v in tf.global_variables())


def test_weights_initializer_of_the_arg_scope():
    with slim.arg_scope(resnet_utils.resnet_arg_scope(weights_initializer=tf.constant_initializer(0.25))):
        layers.conv2d(tf.zeros([1, 3, 3, 2]), 4, 3, scope='conv')
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert (session.run(tf.global_variables()[0]) == 0.25).all()


def test_bounded_activations_through_an_arg_scope():
    images = tf.placeholder(tf.float32, [2, 33, 33, 3])
    with slim.arg_scope([resnet_v1.bottleneck], use_bounded_activations=True):
        _, end_points = tiny(images, 1, is_training=False)
    assert end_points['net/block1/unit_1/bottleneck_v1'].op.type == 'Relu6'


def test_own_units_and_arguments_work():
    seen = []

    @slim.add_arg_scope
    def unit(net, depth, stride, rate=1, unit_rate=1, outputs_collections=None, scope=None):
        seen.append((stride, rate, unit_rate))
        with tf.variable_scope(scope, 'own', [net]) as sc:
            net = resnet_utils.conv2d_same(net, depth, 3, stride, rate=rate * unit_rate, scope='conv')
            return slim.utils.collect_named_outputs(outputs_collections, sc.name, net)

    strided = {'depth': 4, 'stride': 2}
    blocks = [resnet_utils.Block('block1', unit, [strided]),
              resnet_utils.Block('block2', unit, [strided, {'depth': 4, 'stride': 1, 'unit_rate': 2}])]
    with slim.arg_scope(resnet_utils.resnet_arg_scope()):
        net, end_points = resnet_v1.resnet_v1(
            tf.placeholder(tf.float32, [1, 33, 33, 3]), blocks, global_pool=False, output_stride=8, scope='net')
    assert seen == [(2, 1, 1), (1, 1, 1), (1, 2, 2)]
    assert 'net/block2/unit_2/own/conv' in end_points
    assert net.shape.as_list() == [1, 5, 5, 4]


@pytest.mark.parametrize(('shape', 'kwargs', 'message'), [
    ([2, 33, 33, 3], {'output_stride': 6}, r'output_stride must be one of 4, 8, 16, 32 or None; got 6\.'),
    ([2, 33, 33, 3], {'output_stride': 4.5}, r'must be one of .* got 4\.5\.'),
    ([2, 33, 33, 3], {'output_stride': 'eight'}, r"got 'eight'"),
    ([33, 33, 3], {}, r'inputs must have the shape \[batch, height, width, channels\].* got \(33, 33, 3\)'),
    (None, {}, r'inputs must have the shape .* got <unknown>'),
    ([2, 33, 33, None], {}, r'known number of channels; got'),
    ([2, 65, 65, 3], {'global_pool': False, 'num_classes': 3}, r'spatial_squeeze=True needs logits .* 3 x 3 here'),
    ([2, 33, None, 3], {'global_pool': False, 'num_classes': 3}, r'spatial_squeeze=True needs logits .* 2 x \? here'),
    ([2, 33, 33, 3], {'output_stride': True}, r'got True'),
    ([2, 33, 33, 3], {'output_stride': np.array([8, 16])}, r'got array'),
    ([2, 33, 33, 3], {'num_classes': -1}, r'num_classes must be a whole number from 0, or None; got -1'),
    ([2, 33, 33, 3], {'num_classes': '5'}, r"num_classes must be .* got '5'"),
])
@pytest.mark.parametrize('version', VERSIONS)
def test_wrong_arguments_fail_before_anything_is_built(version, shape, kwargs, message):
    images = tf.placeholder(tf.float32, shape)
    operations = len(tf.get_default_graph().get_operations())
    with pytest.raises(ValueError, match=message):
        tiny(images, version, **kwargs)
    assert len(tf.get_default_graph().get_operations()) == operations


@pytest.mark.parametrize(('module', 'name'), [(resnet_v1, 'resnet_v1'), (resnet_v2, 'resnet_v2')])
def test_empty_blocks_are_an_error(module, name):
    with pytest.raises(ValueError, match=r'blocks must be a list of at least one Block; got \[\]'):
        getattr(module, name)(tf.placeholder(tf.float32, [2, 33, 33, 3]), [])


@pytest.mark.parametrize(('padding', 'size'), [('SAME', 32), ('VALID', 36)])
def test_a_map_of_one_set_of_logits_is_squeezed(padding, size):
    with slim.arg_scope(resnet_v1.resnet_arg_scope()), slim.arg_scope([slim.max_pool2d], padding=padding):
        for n, fits in ((size, True), (size + 1, False)):
            images = tf.placeholder(tf.float32, [2, n, n, 3])
            block = resnet_v1.resnet_v1_block('block1', 2, 1, 8)
            if fits:
                net, _ = resnet_v1.resnet_v1(images, [block], 3, global_pool=False)
                assert net.shape.as_list() == [2, 3]
            else:
                with pytest.raises(ValueError, match='they are of 2 x 2 here'):
                    resnet_v1.resnet_v1(images, [block], 3, global_pool=False)


def test_inputs_may_be_an_array():
    net, _ = tiny(np.zeros([2, 33, 33, 3], np.float32), 1, num_classes=3)
    assert net.shape.as_list() == [2, 3]


def test_layers_take_what_slims_take_and_name_what_they_do_not():
    images = tf.zeros([2, 9, 9, 3])
    assert layers.conv2d(images, 4, 3, padding='valid').shape.as_list() == [2, 7, 7, 4]
    assert layers.max_pool2d(images, 3, padding='same').shape.as_list() == [2, 5, 5, 3]
    for layer in (layers.batch_norm, lambda net, **kwargs: layers.conv2d(net, 4, 3, **kwargs),
                  lambda net, **kwargs: layers.max_pool2d(net, 2, **kwargs)):
        with pytest.raises(ValueError, match="data_format must be 'NHWC' or 'NCHW'; got 'nchw'"):
            layer(images, data_format='nchw')
    with pytest.raises(ValueError, match='rank 4'):
        layers.conv2d(tf.zeros([2, 9, 9, 9, 3]), 4, 3)


@pytest.mark.parametrize('value', ['False', 2, 0.5, [True]])
@pytest.mark.skipif(tf.__version__.startswith('1.'), reason='tf-slim works by itself there')
def test_is_training_of_another_type_is_an_error(value):
    for batch_norm in (slim.batch_norm, layers.batch_norm):
        with pytest.raises(TypeError, match='is_training must be a bool'):
            batch_norm(tf.zeros([2, 9, 9, 3]), is_training=value)


def test_a_block_without_units_is_an_error():
    with pytest.raises(ValueError, match=r"num_units of 'block1' must be at least 1; got 0"):
        resnet_v1.resnet_v1_block('block1', 4, 0, 2)


def test_factory_gives_networks_presets_and_lists_names():
    network_fn = nets_factory.get_network_fn('resnet_v1_14', 5, weight_decay=0.1)
    assert network_fn.default_image_size == 32
    assert network_fn.preset == (32, 'cifar', 0)
    logits, _ = network_fn(tf.placeholder(tf.float32, [2, 32, 32, 3]))
    assert logits.shape.as_list() == [2, 5]
    assert len(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)) == 18
    assert list(nets_factory.networks_map) == list(nets_factory.arg_scopes_map)
    with pytest.raises(ValueError, match=r"51'; did you mean 'resnet_v1_50'\? the networks are .*resnet_v2_200"):
        nets_factory.get_network_fn('resnet_v1_51', 5)


@pytest.mark.skipif(tf.__version__.startswith('1.'), reason='nothing is eager by itself there')
def test_a_network_without_a_graph_says_so():
    code = ('import tensorflow as tf; from nets import nets_factory; '
            'nets_factory.get_network_fn("resnet_v1_14", 3, is_training=True)(tf.zeros([2, 33, 33, 3]))')
    result = subprocess.run([sys.executable, '-c', code], stderr=subprocess.PIPE, universal_newlines=True, check=False,
                            cwd=os.path.dirname(os.path.dirname(os.path.abspath(golden.__file__))))
    assert result.returncode == 1
    assert 'RuntimeError: Networks are built in graphs, which hold their variables' in result.stderr
