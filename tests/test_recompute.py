"""Gradients with activations that are computed again are TensorFlow's own, in less memory."""

import narrow_rows
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, recompute, resnet, resnet_v1

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


def copies():
    """The operations that are computed again, without what they read."""
    return [one for one in tf.get_default_graph().get_operations()
            if one.name.startswith('recompute/') and one.type not in ('Identity', 'NoOp')]


def assert_equal_gradients(expected, gradients, feeds=({},), rtol=0.):
    """Runs both, each on its own."""
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for feed in feeds:
            for one, other in zip(session.run(expected, feed), session.run(gradients, feed), strict=True):
                assert np.abs(one).max() > 0
                np.testing.assert_allclose(other, one, rtol=0, atol=rtol * np.abs(one).max())


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


def dense(net, weights):
    return tf.tensordot(net, weights, 1)


def chain(unit, num_units=3):
    """Units `unit(net, weights, training)` one after the other: weights, results, and a placeholder with a default."""
    net = tf.get_variable('inputs', initializer=np.random.RandomState(0).randn(3, 2, 4, 5).astype(np.float32))
    weights = [tf.get_variable(f'weights{i}', initializer=np.random.RandomState(i).randn(5, 5).astype(np.float32))
               for i in range(num_units)]
    training, results = tf.placeholder_with_default(True, []), []
    for one in weights:
        net = unit(net, one, training)
        results.append(net)
    return weights, results, training


def with_dropout(net, weights, training):
    return tf.sin(dense(tf.nn.dropout(tf.tanh(dense(net, weights)), rate=0.5), weights))


def with_condition(net, weights, training):
    net = tf.tanh(dense(net, weights))
    net = tf.cond(training, lambda: tf.tanh(dense(tf.sigmoid(net), weights)), lambda: tf.exp(-net * net))
    return tf.sin(dense(net, weights))


def within_conditions(net, weights, training):
    positive = tf.reduce_sum(net) > 0
    return tf.sin(tf.cond(
        training, lambda: tf.cond(positive, lambda: tf.tanh(dense(tf.sigmoid(net), weights)),
                                  lambda: tf.cos(tf.tanh(dense(net, weights)))),
        lambda: tf.exp(-dense(tf.tanh(net), weights))))


def with_loop(net, weights, training):
    net = tf.tanh(dense(net, weights))
    _, net = tf.while_loop(lambda i, net: i < 2, lambda i, net: (i + 1, tf.tanh(dense(tf.sin(net), weights))), [0, net])
    return tf.sin(tf.tanh(dense(net, weights)))


def loop_in_condition(net, weights, training):
    return tf.sin(tf.tanh(tf.cond(training, lambda: with_loop(net, weights, training),
                                  lambda: tf.cos(dense(net, weights)))))


def with_default(net, weights, training):
    net = tf.tanh(dense(net, weights)) * (2 - tf.cast(tf.placeholder_with_default(training, []), tf.float32))
    return tf.sin(dense(tf.tanh(net), weights)) + net


@tf.custom_gradient
def reads_far(net):
    first = tf.tanh(net)
    second = tf.sin(first)
    return tf.cos(second), lambda gradient: gradient * first * second + net


def with_custom_gradient(net, weights, training):
    return tf.tanh(dense(reads_far(dense(net, weights)), weights))


UNITS = [with_dropout, with_condition, within_conditions, with_loop, loop_in_condition, with_default,
         with_custom_gradient]


@pytest.fixture(params=['control flow 1', 'control flow 2'])
def control_flow(request):
    """Conditions and loops are built as in TensorFlow 1, or as functions."""
    was_enabled = tf.control_flow_v2_enabled()
    (tf.disable_control_flow_v2, tf.enable_control_flow_v2)[int(request.param[-1]) - 1]()
    yield
    (tf.enable_control_flow_v2 if was_enabled else tf.disable_control_flow_v2)()


@pytest.mark.usefixtures('control_flow')
@pytest.mark.parametrize('unit', UNITS, ids=lambda unit: unit.__name__)
def test_gradients_of_hard_units_are_equal(unit):
    weights, results, training = chain(unit)
    loss = tf.reduce_sum(results[-1] ** 2)
    gates = {'gate_gradients': unit is within_conditions}
    expected, gradients = tf.gradients(loss, weights, **gates), recompute.gradients(loss, weights, results, **gates)
    # A condition of functions that read variables is not computed again; that unit is nothing else.
    assert copies() or (tf.control_flow_v2_enabled() and unit is within_conditions)
    assert not [one.type for one in copies() if one.op_def.is_stateful or 'Placeholder' in one.type]
    if unit is not with_dropout:
        return assert_equal_gradients(expected, gradients, [{}, {training: False}])
    with tf.Session() as session:  # both with the same random numbers
        session.run(tf.global_variables_initializer())
        np.testing.assert_array_equal(*session.run([expected, gradients]))
    return None


def test_what_later_units_read_is_kept():
    inner = []  # of the names Tanh, Tanh_1, Tanh_2

    def unit(net, weights, training):
        inner.append(tf.tanh(dense(net, weights)))
        return tf.sin(dense(tf.exp(-inner[-1]), weights))

    weights, results, _ = chain(unit)
    losses = [tf.reduce_sum(tf.tanh(inner[0] * inner[2]) * tf.exp(-results[-1] * inner[1]) * results[0]),
              tf.reduce_sum(tf.sin(inner[1]))]
    expected = tf.gradients(losses, weights, [tf.constant(2.), results[1][0, 0, 0, 0]])
    gradients = recompute.gradients(losses, weights, results, [tf.constant(2.), results[1][0, 0, 0, 0]])
    assert_equal_gradients(expected, gradients, rtol=1e-6)
    assert {one.name for one in copies() if 'Tanh' in one.name} == {'recompute/Tanh_2'}


def test_losses_within_units_are_recomputed_with_them():
    inner = []

    def unit(net, weights, training):
        inner.append(tf.tanh(dense(net, weights)))
        return tf.sin(dense(tf.exp(inner[-1]), weights))

    weights, results, _ = chain(unit)
    loss = tf.reduce_sum(results[-1]) + tf.reduce_sum(tf.square(inner[0])) + tf.reduce_sum(tf.sin(inner[1]))
    watched = tf.reduce_mean(inner[1])  # of no loss: it stays what it is
    assert_equal_gradients(tf.gradients(loss, weights), recompute.gradients(loss, weights, results))
    assert {one.name for one in copies() if 'Tanh' in one.name} == {'recompute/Tanh', 'recompute/Tanh_1'}
    assert watched.op.inputs[0] is inner[1]


def test_gradients_of_gradients_are_equal():
    weights, results, _ = chain(lambda net, weights, training: tf.tanh(dense(tf.tanh(dense(net, weights)), weights)))
    slope, = recompute.gradients(results[-1], results[0], results)
    loss = tf.reduce_sum(slope ** 2) + tf.reduce_sum(results[-1])
    assert_equal_gradients(tf.gradients(loss, weights), recompute.gradients(loss, weights, results), rtol=1e-6)


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


def test_no_variable_is_updated_before_the_copy_that_reads_it():
    unit_weights = tf.Variable(3., use_resource=False)
    net = tf.Variable(2., use_resource=False)
    kept = tf.sin(net)
    # What the branch without gradients computes again reads the variable, and nothing of its gradient waits for that.
    loss = tf.sin(kept * unit_weights) * tf.tanh(tf.stop_gradient(tf.exp(kept[None, None] * unit_weights)))
    pairs = recompute.compute_gradients(tf.train.GradientDescentOptimizer(1.), tf.reduce_sum(tf.exp(loss)), kept=[
        kept, loss])
    copy, = [one for one in copies() if one.type == 'Exp']
    product = copy.inputs[0].op
    gradient = {variable.op.name: gradient for gradient, variable in pairs}[unit_weights.op.name]
    assert product in gradient.op.control_inputs


def test_copies_keep_layouts_devices_and_gradients():
    @tf.RegisterGradient('TwiceTheGradient')
    def twice(operation, gradient):
        return 2 * gradient

    with tf.device('/cpu:0'), tf.get_default_graph().gradient_override_map({'Exp': 'TwiceTheGradient'}):
        net = tf.ones([2, 3, 9, 9])
        kept = []
        for i in range(2):
            net = layers.conv2d(net, 4, 3, data_format='NCHW', activation_fn=None, scope=f'conv{i}')
            net = layers.batch_norm(net, data_format='NCHW', scope=f'norm{i}')
            net = tf.exp(net)
            kept.append(net)
            net = tf.tanh(net * net)
    recompute.gradients(net, tf.trainable_variables(), kept)
    again = {one.name: one for one in copies()}
    assert again['recompute/conv1/Conv2D'].get_attr('data_format') == b'NCHW'
    assert all('CPU:0' in one.device for one in again.values())
    loss = tf.reduce_sum(recompute.gradients(tf.tanh(kept[1]), kept[0], kept[:1])[0])
    overridden = [one for one in copies() if one.type == 'Exp']
    assert all(one.get_attr('_gradient_op_type') == b'TwiceTheGradient' for one in overridden)
    assert loss.shape == []


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


@pytest.mark.usefixtures('control_flow')
def test_what_is_in_a_loop_cannot_be_kept():
    inside, start = [], tf.get_variable('start', [])
    _, net = tf.while_loop(lambda i, net: i < 2, lambda i, net: (i + 1, inside.append(tf.sin(net)) or inside[-1]),
                           [0, start])
    with pytest.raises(ValueError, match=r'(in loops cannot be kept|None of the tensors to keep is used).*/?Sin:0'):
        recompute.gradients(net, start, inside)
