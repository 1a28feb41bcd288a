"""Recomputed gradients of conditions, loops, random numbers and other hard parts of graphs are TensorFlow's own."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from recomputed import assert_equal_gradients, copies

from nets import layers, recompute


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


@pytest.mark.usefixtures('control_flow')
def test_what_is_in_a_loop_cannot_be_kept():
    inside, start = [], tf.get_variable('start', [])
    _, net = tf.while_loop(lambda i, net: i < 2, lambda i, net: (i + 1, inside.append(tf.sin(net)) or inside[-1]),
                           [0, start])
    with pytest.raises(ValueError, match=r'(in loops cannot be kept|None of the tensors to keep is used).*/?Sin:0'):
        recompute.gradients(net, start, inside)
