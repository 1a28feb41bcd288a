"""The training step against TensorFlow 1.15, and the losses against NumPy."""

import dataclasses

import golden
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tiny_network
from goldens import fill

from nets import resnet_utils
from nets.training import config, graph, losses


@pytest.mark.parametrize('name', ['tiny_v1', 'tiny_v2'])
def test_five_steps_equal_those_of_tf1(name):
    case = next(case for case in fill.load_cases('training') if case['name'] == name)
    shape, seed = case['input']['shape'], case['input']['seed']
    images, labels = tf.placeholder(tf.float32, shape), tf.placeholder(tf.int64, shape[:1])
    builder = getattr(golden.module_of(case['net']), case['net'])

    def network_fn(images):
        with golden.slim.arg_scope(resnet_utils.resnet_arg_scope(**case['arg_scope'])):
            return builder(images, golden.blocks(case['net'], case['blocks']), case['num_classes'], scope=case['scope'])

    assert not case['optimizer']['use_nesterov']
    settings = config.TrainConfig(
        optimizer=config.OptimizerConfig(optimizer='momentum', momentum=case['optimizer']['momentum']),
        schedule=config.ScheduleConfig(learning_rate_decay_type='fixed',
                                       learning_rate=case['optimizer']['learning_rate']),
        moving_average_decay=case['ema_decay'])
    built = graph.build_train_graph(settings, tiny_network.task_of(network_fn), {'image': images, 'label': labels})
    total, regularization = [], []
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run([one.initializer for one in tf.model_variables()], {
            one.initializer.inputs[1]: fill.fill_variable(one.op.name, one.shape.as_list())
            for one in tf.model_variables()})
        session.run(built.synchronize_averages)
        for step in range(case['steps']):
            batch = {images: fill.images(shape, seed + step),
                     labels: fill.labels(shape[0], case['num_classes'], seed + step)}
            metrics, _ = session.run((built.metrics, built.train_op), batch)
            total.append(metrics['loss'])
            regularization.append(metrics['loss'] - metrics['cross_entropy'])
        values = session.run({one.op.name: one for one in tf.global_variables()})
    np.testing.assert_allclose(total, case['total_loss'], rtol=1e-5)
    np.testing.assert_allclose(regularization, case['regularization_loss'], rtol=1e-4)
    assert sorted(values) == sorted(case['variables'])
    for key, expected in case['variables'].items():
        np.testing.assert_allclose(values[key], expected, rtol=0, atol=1e-5, err_msg=key)


@pytest.mark.parametrize('smoothing', [0.0, 0.1])
def test_losses_against_numpy(smoothing):
    rng = np.random.RandomState(0)
    logits, labels = rng.randn(5, 4), np.array([0, 3, 1, 1, 2])
    tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, tf.constant(0.25))
    tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, tf.constant(0.5))
    with tf.Session() as session:
        got = session.run(losses.classification_losses(tf.constant(logits, tf.float32), labels, smoothing))
    target = np.eye(4)[labels] * (1 - smoothing) + smoothing / 4
    log_probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = -(target * log_probabilities).sum(1).mean()
    np.testing.assert_allclose([got.cross_entropy, got.regularization, got.total],
                               [expected, 0.75, expected + 0.75],
                               rtol=1e-6)


def test_restored_weights_reach_the_averages():
    weights = tf.get_variable('net/w', [3, 2], initializer=tf.zeros_initializer(),
                              collections=[tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.MODEL_VARIABLES])
    settings = dataclasses.replace(config.TrainConfig(), moving_average_decay=0.9)
    task = tiny_network.task_of(lambda images: (tf.matmul(images, weights), {}))
    built = graph.build_train_graph(settings, task, {'image': tf.ones([2, 3]), 'label': tf.constant([0, 1])})
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        weights.load(np.full([3, 2], 5.0, np.float32), session)
        assert session.run(built.averages.average(weights)).max() == 0
        session.run(built.synchronize_averages)
        assert session.run(built.averages.average(weights)).min() == 5
