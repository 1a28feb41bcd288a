"""Gradients with activations that are computed again are TensorFlow's own, in less memory."""

import narrow_rows
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from recomputed import assert_equal_gradients, copies

from nets import recompute, resnet, resnet_v1

CLASSES = 3


def classifier(name, size=33, scope='net', reuse=None, **kwargs):
    """A narrow network of the family on random images, and its loss."""
    network = resnet.network(name, narrow_rows.narrow(name))
    images = tf.identity(np.random.RandomState(0).randn(2, size, size, 3).astype(np.float32), 'images')
    with slim.arg_scope(network.arg_scope(weight_decay=1e-2)):
        net, end_points = network(images, CLASSES, is_training=True, scope=scope, reuse=reuse, **kwargs)
    logits = tf.reduce_mean(net, [1, 2]) if net.shape.ndims == 4 else net
    tf.losses.sparse_softmax_cross_entropy(tf.constant([0, 2]), logits)
    return tf.losses.get_total_loss(), end_points


NETWORKS = [
    ('resnet_v1_50', 'unit', {}, False),
    ('resnet_v1_50', 'unit', {'output_stride': 8, 'global_pool': False, 'spatial_squeeze': False}, True),
    ('resnet_v2_50', 'unit', {}, True),
    ('resnet_v2_50', 'block', {'output_stride': 4, 'global_pool': False, 'spatial_squeeze': False}, False),
    ('resnet_v1_18', 'block', {'store_non_strided_activations': True}, False),
    ('resnet_v15_50', 'block', {}, True),
    ('se_resnext_50_32x4d', 'unit', {}, True),
    ('resnet_keras_50', 2, {}, False),
]


@pytest.mark.parametrize(('name', 'every', 'kwargs', 'use_resource'), NETWORKS)
def test_gradients_of_networks_are_equal(name, every, kwargs, use_resource):
    with tf.variable_scope(tf.get_variable_scope(), use_resource=use_resource):
        loss, _ = classifier(name, **kwargs)
    optimizer = tf.train.GradientDescentOptimizer(1.)
    expected, _ = zip(*optimizer.compute_gradients(loss), strict=True)
    gradients, variables = zip(*recompute.compute_gradients(optimizer, loss, every=every), strict=True)
    assert list(variables) == tf.trainable_variables()
    assert_equal_gradients(expected, gradients, rtol=1e-6)
    again = {one.name for one in copies()}
    kept = {tensor.name for tensor in recompute.kept_tensors(every=every)}
    normalised = [one.inputs[0] for one in tf.get_default_graph().get_operations()
                  if one.type == 'FusedBatchNormV3' and '/block' in one.name and not one.name.startswith('recompute/')]
    missing = [one.name for one in normalised if one.name not in kept and f'recompute/{one.op.name}' not in again]
    assert len(normalised) > 10
    assert not missing


def trained(every, updates_collections, num_steps=3):
    """Losses and all variables of steps with `slim.learning`'s training operation."""
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        blocks = [resnet_v1.resnet_v1_block(f'block{i}', 4, 2, 2) for i in (1, 2)]
        arg_scope = resnet_v1.resnet_arg_scope(1e-3, 0.9, batch_norm_updates_collections=updates_collections)
        images = tf.placeholder(tf.float32, [2, 33, 33, 3])
        with slim.arg_scope(arg_scope):
            net, _ = resnet_v1.resnet_v1(images, blocks, CLASSES)
        tf.losses.sparse_softmax_cross_entropy(tf.constant([0, 2]), slim.dropout(net, 0.5))
        optimizer = tf.train.MomentumOptimizer(0.1, 0.9)
        if every:
            optimizer = recompute.Optimizer(optimizer, every)
        train_op = slim.learning.create_train_op(tf.losses.get_total_loss(), optimizer, clip_gradient_norm=5.)
        assert bool(copies()) == bool(every)
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            losses = [session.run(train_op, {images: np.random.RandomState(i).randn(2, 33, 33, 3)})
                      for i in range(num_steps)]
            return losses, session.run({one.op.name: one for one in tf.global_variables()})


@pytest.mark.parametrize('updates_collections', [tf.GraphKeys.UPDATE_OPS, None])
def test_steps_are_equal_and_statistics_move_once(updates_collections):
    losses, variables = trained(None, updates_collections)
    assert np.abs(variables['resnet_v1/block1/unit_1/bottleneck_v1/conv1/BatchNorm/moving_mean']).max() > 0
    for every in ('unit', 'block'):
        others, other_variables = trained(every, updates_collections)
        assert others == losses
        assert set(other_variables) == set(variables)  # slots, too
        for name, value in variables.items():
            np.testing.assert_array_equal(other_variables[name], value, name)


def held_peak(run_metadata):
    """The most bytes that the results of operations took at once, without what operations take while they run."""
    changes = []
    for device in run_metadata.step_stats.dev_stats:
        for node in device.node_stats:
            end = node.all_start_micros + node.op_end_rel_micros
            records = sorted((one.alloc_micros, one.alloc_bytes) for memory in node.memory
                             for one in memory.allocation_records)
            for freed in [one for one in records if one[1] < 0 and one[0] <= end]:
                records.remove(freed)
                records.remove(next(one for one in records if one[1] == -freed[1]))
            changes += records
    return np.cumsum([size for _, size in sorted(changes)]).max()


@pytest.mark.usefixtures('optimised')
def test_memory_falls():
    blocks = [resnet_v1.resnet_v1_block(f'block{i}', 4, 5, 1) for i in (1, 2)]
    images = tf.random_uniform([4, 24, 24, 16])
    with slim.arg_scope(resnet_v1.resnet_arg_scope()):
        net, _ = resnet_v1.resnet_v1(images, blocks, include_root_block=False)
    loss = tf.reduce_sum(net ** 2)
    peaks = {}
    optimizer = tf.train.GradientDescentOptimizer(1.)
    steps = {every: [gradient for gradient, _ in recompute.compute_gradients(optimizer, loss, every=every)]
             for every in ('none', 'block', 'unit')}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for every, step in steps.items():
            metadata = tf.RunMetadata()
            session.run(step, options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), run_metadata=metadata)
            peaks[every] = held_peak(metadata)
    assert peaks['unit'] < 0.6 * peaks['none']
    assert peaks['unit'] < peaks['block'] < 0.7 * peaks['none']


def test_gradients_of_regularization_wait():
    weights = [tf.get_variable(f'weights{i}', [5, 5]) for i in range(4)]
    net, kept = tf.ones([2, 5]), []
    for one in weights:
        net = tf.tanh(tf.matmul(net, one))
        kept.append(net)
    loss = tf.reduce_sum(net) + tf.add_n([tf.nn.l2_loss(one) for one in weights])
    expected, gradients = tf.gradients(loss, weights), recompute.gradients(loss, weights, kept)
    assert_equal_gradients(expected, gradients)
    for gradient in gradients:
        late, early = sorted((tensor.op for tensor in gradient.op.inputs), key=lambda one: one.type == 'Mul')
        assert [early.type, early.inputs[0].op.control_inputs] == ['Mul', [late]]


def test_two_networks_of_the_same_variables_are_recomputed():
    classifier('resnet_v1_18', scope='net')
    loss, _ = classifier('resnet_v1_18', size=40, scope='net', reuse=True)
    variables = tf.trainable_variables()
    expected = tf.gradients(loss, variables)
    gradients = recompute.gradients(loss, variables, recompute.kept_tensors())
    assert_equal_gradients(expected, gradients, rtol=1e-6)
    again = {one.name for one in copies()}
    for scope in ('net', 'net_1'):
        assert f'recompute/{scope}/block2/unit_2/lite_bottleneck_v1/conv1/Conv2D' in again


def test_kept_tensors():
    _, end_points = classifier('resnet_v1_18')
    names = [f'net/block{i}/unit_{j}/lite_bottleneck_v1' for i in range(1, 5) for j in (1, 2)]
    inputs = ['images:0', 'net/pool1/MaxPool:0']
    for given in (end_points, 'net', None):
        kept = [tensor.name for tensor in recompute.kept_tensors(given)]
        assert kept == inputs + [end_points[name].name for name in names]
    for every in ('block', 2, '3'):
        kept = [tensor.name for tensor in recompute.kept_tensors(every=every)]
        assert kept == inputs + [end_points[f'net/block{i}'].name for i in (1, 2, 3, 4)]
    assert recompute.kept_tensors(every=1) == recompute.kept_tensors(every='unit')


def test_networks_without_units_are_left_alone():
    loss, _ = classifier('resnet_v1_18', size=17)
    tf.add_to_collection('other/_end_points', loss)
    assert recompute.kept_tensors()


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match='The graph has no residual network'):
        recompute.kept_tensors()
    loss, end_points = classifier('resnet_v1_18', size=17)
    for every in ('units', 0, '0', True, None, 1.5):
        with pytest.raises(ValueError, match="every must be 'unit', 'block' or a number"):
            recompute.kept_tensors(every=every)
    with pytest.raises(ValueError, match="no network of the scope 'nets'; it has net"):
        recompute.kept_tensors('nets')
    with pytest.raises(ValueError, match='have no residual units'):
        recompute.kept_tensors({'predictions': end_points['predictions']})
    with pytest.raises(ValueError, match='None of the tensors to keep is used .* net/predictions/Reshape_1:0'):
        recompute.gradients(loss, tf.trainable_variables(), [end_points['predictions']])
