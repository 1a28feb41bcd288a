"""Backbones with heads: names of variables, modes, gradients, sizes and errors."""

import os

import manifests
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from numpy_layers import fill

from nets import nets_factory
from nets.checkpoints import restore
from nets.dense import heads, model, options

NARROW = {'depth_multiplier': 1 / 16, 'min_base_depth': 4}
TINY = {
    'fcn': {},
    'deeplab_v2': {},
    'deeplab_v3': {'depth': 6},
    'deeplab_v3plus': {'depth': 6, 'decoder_depth': 5, 'projection_depth': 4},
    'psp': {'depth': 6},
}


def network_fn(head, num_classes=3, network='resnet_v1_14', output_stride=8, **kwargs):
    return model.get_network_fn(network, head, num_classes, output_stride,
                                **{'backbone_options': NARROW, **TINY[head], **kwargs})


def images(size=33, batch=3, seed=1):
    return np.random.RandomState(seed).normal(size=[batch, size, size + 8, 3]).astype(np.float32)


def conv(scope, shape, norm=True):
    """Name, shape and kind of the variables of a layer of DeepLab."""
    weights = 'depthwise_weights' if scope.endswith('_depthwise') else 'weights'
    depth = shape[2] if scope.endswith('_depthwise') else shape[3]
    vectors = [('BatchNorm/gamma', 'trainable'), ('BatchNorm/beta', 'trainable'), ('BatchNorm/moving_mean', 'fixed'),
               ('BatchNorm/moving_variance', 'fixed')] if norm else [('biases', 'trainable')]
    return ['{}/{} {} trainable'.format(scope, weights, 'x'.join(map(str, shape)))] + [
        '{}/{} {} {}'.format(scope, name, depth, kind) for name, kind in vectors]


def separable(scope, depth, filters):
    return conv(scope + '_depthwise', [3, 3, depth, 1]) + conv(scope + '_pointwise', [1, 1, depth, filters])


# What DeepLab's model.py makes on the features of ResNet-50 and -18, for 21 classes, in its order.
ASPP = (conv('image_pooling', [1, 1, 2048, 256]) + conv('aspp0', [1, 1, 2048, 256]) +
        separable('aspp1', 2048, 256) + separable('aspp2', 2048, 256) + separable('aspp3', 2048, 256))
PLAIN_ASPP = (conv('image_pooling', [1, 1, 512, 256]) + conv('aspp0', [1, 1, 512, 256]) +
              conv('aspp1', [3, 3, 512, 256]) + conv('aspp2', [3, 3, 512, 256]) + conv('aspp3', [3, 3, 512, 256]))
PROJECTION = conv('concat_projection', [1, 1, 1280, 256])
DECODER = (conv('decoder/feature_projection0', [1, 1, 256, 48]) + separable('decoder/decoder_conv0', 304, 256) +
           separable('decoder/decoder_conv1', 256, 256))
LOGITS = conv('logits/semantic', [1, 1, 256, 21], norm=False)


@pytest.mark.parametrize(('network', 'head', 'kwargs', 'expected'), [
    ('resnet_v1_50_beta', 'deeplab_v3plus', {'multi_grid': (1, 2, 4)}, ASPP + PROJECTION + DECODER + LOGITS),
    ('resnet_v1_18_beta', 'deeplab_v3', {'separable_conv': False}, PLAIN_ASPP + PROJECTION + LOGITS)])
def test_variables_are_those_of_deeplabs_checkpoints(network, head, kwargs, expected):
    fn = model.get_network_fn(network, head, 21, **kwargs)
    fn(tf.placeholder(tf.float32, [1, 65, 65, 3]))
    with open(manifests.path_of(network), encoding='utf-8') as file:
        backbone = [line for line in file.read().splitlines() if '/logits/' not in line]
    trainable = tf.trainable_variables()
    actual = ['{} {} {}'.format(v.op.name, 'x'.join(map(str, v.shape.as_list())),
                                'trainable' if any(v is other for other in trainable) else 'fixed')
              for v in tf.global_variables()]
    assert actual == backbone + expected
    assert fn.preset == nets_factory.NETWORKS[network].preset
    assert fn.default_image_size == 224
    assert fn.backbone_scope == network[:-len('_beta')]


@pytest.mark.parametrize('head', heads.HEADS)
def test_training_reaches_every_variable_and_inference_is_fixed(head):
    """Also: a mode that is fed equals one that is built in, and a size that is unknown one that is known."""
    fed = tf.placeholder(tf.float32, [None, None, None, 3])
    is_training = tf.placeholder_with_default(False, [])
    fn = network_fn(head, is_training=is_training)
    logits, end_points = fn(fed)
    fixed, _ = network_fn(head)(tf.constant(images()), reuse=True)
    assert end_points['logits/semantic'] is logits
    assert 'resnet_v1_14/block4' in end_points
    variables = tf.trainable_variables()
    loss = tf.reduce_sum(logits * tf.random_normal(tf.shape(logits), seed=3))
    gradients = tf.gradients(loss, variables)
    with tf.Session() as session:
        fill(session)
        inference, same = session.run([logits, fixed], {fed: images()})
        assert np.allclose(inference, same, atol=1e-5 * np.abs(inference).max())
        assert np.array_equal(session.run([logits, fixed], {fed: images()})[0], inference)
        training, values = session.run([logits, gradients], {fed: images(), is_training: True})
        assert [v.op.name for v, value in zip(variables, values) if not np.any(value)] == []
        assert np.abs(training - inference).max() > 0.01 * np.abs(inference).max()
    assert inference.shape == (*images().shape[:1], *{'deeplab_v3plus': (9, 11)}.get(head, (5, 6)), 3)


def test_batch_norm_that_is_not_tuned_stands_still_and_dropout_drops():
    fed = tf.constant(images())
    inference, _ = network_fn('deeplab_v3plus')(fed)
    standing, _ = network_fn('deeplab_v3plus', is_training=True, fine_tune_batch_norm=False, keep_prob=1.0)(
        fed, reuse=True)
    dropping, _ = network_fn('deeplab_v3plus', is_training=True, fine_tune_batch_norm=False, keep_prob=0.5)(
        fed, reuse=True)
    assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    asked, _ = network_fn('deeplab_v3plus', is_training=lambda: 'decoder' in tf.get_variable_scope().name)(
        fed, reuse=True)
    assert len(tf.get_collection(tf.GraphKeys.UPDATE_OPS)) == 2 * 5  # the decoder has five convolutions
    with tf.Session() as session:
        fill(session)
        inference, standing, dropping = session.run([inference, standing, dropping])
    assert np.array_equal(standing, inference)
    assert np.abs(dropping - inference).max() > 0.01 * np.abs(inference).max()


def test_the_backbone_is_that_of_the_family():
    _, end_points = network_fn('deeplab_v3', multi_grid=(2,))(tf.constant(images()))
    backbone_fn = nets_factory.get_network_fn('resnet_v1_14', None)
    same, other = (backbone_fn(tf.constant(images()), global_pool=False, output_stride=8, multi_grid=rates,
                               reuse=True, **NARROW)[0] for rates in ((2,), None))
    with tf.Session() as session:
        fill(session)
        features, same, other = session.run([end_points['resnet_v1_14/block4'], same, other])
    assert np.array_equal(features, same)
    assert not np.allclose(features, other)


def test_decays_and_weight_decay():
    def decays():
        return {op.name.split('/')[0]: 1 - tf.get_static_value(op.inputs[1]) for op in tf.get_default_graph(
            ).get_operations() if op.type == 'Mul' and '/AssignMovingAvg/' in op.name}

    network_fn('deeplab_v3', is_training=True, weight_decay=0.1)(tf.constant(images()))
    found = decays()
    assert found['resnet_v1_14'] == pytest.approx(0.95)
    assert found['aspp0'] == found['concat_projection'] == pytest.approx(0.9997)
    losses = {op.name.split('/')[0] for op in (loss.op for loss in tf.losses.get_regularization_losses())}
    assert {'aspp0', 'aspp1_pointwise', 'resnet_v1_14', 'logits'} <= losses
    assert not any('depthwise' in loss.name for loss in tf.losses.get_regularization_losses())
    with tf.Graph().as_default():
        network_fn('deeplab_v3', is_training=True, batch_norm_decay=0.9)(tf.constant(images()))
        assert all(decay == pytest.approx(0.9) for decay in decays().values())


@pytest.mark.parametrize(('network', 'output_stride', 'decoder_stride'), [
    ('resnet_v2_50', 16, 4), ('resnet_v15_18', 8, 2), ('resnet_cifar_20', 4, 1), ('resnet_v1_18_beta', None, [8, 4])])
def test_decoders_find_their_features_in_any_scope(network, output_stride, decoder_stride):
    fn = network_fn('deeplab_v3plus', network=network, output_stride=output_stride,
                    decoder_output_stride=decoder_stride, backbone_options=dict(NARROW, scope='backbone'))
    with tf.variable_scope('outer'):
        logits, _ = fn(tf.placeholder(tf.float32, [2, 66, 65, 3]))
    stride = np.min(decoder_stride)
    assert logits.shape.as_list() == [2, -(-66 // stride), -(-65 // stride), 3]
    assert fn.backbone_scope == 'backbone'
    assert all(v.op.name.startswith('outer/') for v in tf.global_variables())
    assert logits.op.name == 'outer/logits/semantic/BiasAdd'


@pytest.mark.parametrize(('head', 'kwargs'), [
    ('deeplab_v2', {'atrous_rates': (1, 2)}), ('deeplab_v2', {}), ('fcn', {})])
def test_a_checkpoint_of_other_classes_restores_without_the_class_scopes(tmp_path, head, kwargs):
    fn = network_fn(head, 5, **kwargs)
    fn(tf.constant(images()))
    with tf.Session() as session:
        fill(session)
        tf.train.Saver().save(session, os.path.join(str(tmp_path), 'model.ckpt'))
    with tf.Graph().as_default(), tf.Session() as session:
        fn = network_fn(head, 3, **kwargs)
        fn(tf.constant(images()))
        restorer = restore.restore_fn(str(tmp_path), tf.global_variables(), fn.class_scopes)
        restorer(session)
        assert {name.split('/')[0] for name in restorer.excluded} == set(fn.class_scopes)
        assert all(v.shape.as_list()[-1] == 3 for v in tf.global_variables() if v.op.name in restorer.excluded)


def test_every_option_is_explained_and_its_default_is_allowed():
    for name, head in heads.HEADS.items():
        options.check(name, head.options)
        for option, default in head.options.items():
            if default is not None:
                text = ','.join(map(str, default)) if isinstance(default, tuple) else str(default)
                assert options.parse(name, ['{}={}'.format(option, text)]) == {option: default}
    assert set(options.OPTIONS) == {option for head in heads.HEADS.values() for option in head.options}


def test_options_are_read_from_texts():
    texts = ['atrous_rates=2, 4', 'depth = 64', 'separable_conv=no', 'image_pooling_crop_size=65,97', 'keep_prob=.5']
    assert options.parse('deeplab_v3', texts) == {
        'atrous_rates': (2, 4), 'depth': 64, 'separable_conv': False, 'image_pooling_crop_size': (65, 97),
        'keep_prob': 0.5}
    assert options.parse('deeplab_v3', ['atrous_rates=none', 'image_pooling_crop_size=65']) == {
        'atrous_rates': None, 'image_pooling_crop_size': 65}
    for text, message in (('depth', "must be of the form option=value; got 'depth'"),
                          ('depth=x', "depth must be a whole number from 1; got 'x'"),
                          ('depth=none', 'depth must be a whole number from 1; got None'),
                          ('breadth=1', "has no option 'breadth'; its options are depth=256, atrous_rates=None")):
        with pytest.raises(ValueError, match=message):
            options.parse('deeplab_v3', [text])


@pytest.mark.parametrize(('arguments', 'message'), [
    ({'head': 'unet'}, "Unknown head 'unet'; the heads are fcn, deeplab_v2, deeplab_v3, deeplab_v3plus, psp"),
    ({'network': 'resnet_v9'}, 'Unknown network'),
    ({'num_classes': 0}, 'num_classes must be a whole number from 1; got 0'),
    ({'num_classes': True}, 'num_classes must be a whole number from 1; got True'),
    ({'output_stride': 6}, 'output_stride must be one of 4, 8, 16, 32 or None; got 6'),
    ({'output_stride': 2}, 'output_stride must be one of 4, 8, 16, 32 or None; got 2'),
    ({'depht': 64}, "The head 'deeplab_v3plus' has no option 'depht'; its options are depth=256"),
    ({'stride': 8}, "has no option 'stride'"),
    ({'depth': 0}, 'depth must be a whole number from 1; got 0'),
    ({'depth': None}, 'depth must be a whole number from 1; got None'),
    ({'atrous_rates': 6}, 'atrous_rates must be whole numbers from 1, or None; got 6'),
    ({'atrous_rates': [6, 0]}, 'atrous_rates must be whole numbers from 1, or None; got'),
    ({'keep_prob': 0.0}, 'keep_prob must be a number above 0, at most 1; got 0.0'),
    ({'separable_conv': 1}, 'separable_conv must be true or false; got 1'),
    ({'image_pooling_crop_size': (1, 2, 3)}, 'image_pooling_crop_size must be a whole number from 1, or two, or None'),
    ({'decoder_output_stride': []}, 'decoder_output_stride must be a whole number from 1, or several; got'),
    ({'head': 'psp', 'bins': ()}, 'bins must be whole numbers from 1, one at least; got'),
    ({'multi_grid': (1, 2)}, 'multi_grid must be whole numbers from 1, one for each of the 3 units'),
    ({'backbone_options': {'depth_multiplier': 0}}, 'depth_multiplier must be a number above 0; got 0'),
    ({'backbone_options': {'min_base_depth': -3}}, 'min_base_depth must be a whole number from 1; got -3'),
    ({'backbone_options': {'width': 1, 'reuse': True}}, 'backbone_options may have .*; got reuse, width')])
def test_errors_say_what_is_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        model.get_network_fn(**{'network': 'resnet_v1_50', 'head': 'deeplab_v3plus', 'num_classes': 3, **arguments})


@pytest.mark.parametrize(('head', 'kwargs', 'message'), [
    ('deeplab_v3plus', {'decoder_output_stride': 16}, 'strides must be among 2, 4, 8 for resnet_v1_14'),
    ('fcn', {'stride': 16}, 'stride must be the output stride of the backbone, 8, or a half, a quarter, .*; got 16'),
    ('fcn', {'stride': 3}, 'stride must be the output stride of the backbone, 8, or a half'),
    ('deeplab_v2', {'atrous_rates': ()}, 'deeplab_v2 needs at least one atrous rate'),
    ('deeplab_v2', {'output_stride': 32}, 'are no whole numbers at output stride 32; give atrous_rates')])
def test_errors_of_what_only_the_network_knows(head, kwargs, message):
    with pytest.raises(ValueError, match=message):
        network_fn(head, **kwargs)(tf.constant(images()))
