"""Five steps of training, and the checkpoints after them, equal TensorFlow 1.15's."""

import os

import golden
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from goldens import fill

pytestmark = pytest.mark.usefixtures('optimised')  # see conftest.py

CASES = {case['name']: case for case in fill.load_cases('training', golden.FOLDER)}
CHECKPOINTS = {case['name']: case for case in fill.load_cases('checkpoints', golden.FOLDER)}
LOSS_LIMIT = 1e-5
VARIABLE_LIMIT = 1e-5


def build(case, shape, is_training):
    """The tiny network of a case: its placeholder, its logits and its end points."""
    images = tf.placeholder(tf.float32, [None] + shape[1:])
    with slim.arg_scope(golden.arg_scope(case)):
        logits, end_points = getattr(golden.module_of(case['net']), case['net'])(
            images, golden.blocks(case['net'], case['blocks']), case['num_classes'], is_training=is_training,
            spatial_squeeze=False, scope=case['scope'])
    end_points.pop('global_pool')
    return images, tf.reshape(logits, [-1, case['num_classes']]), end_points


def check_training(case):
    images, logits, _ = build(case, case['input']['shape'], is_training=True)
    labels = tf.placeholder(tf.int64, [None])
    tf.losses.sparse_softmax_cross_entropy(labels, logits)
    total_loss, regularization_loss = tf.losses.get_total_loss(), tf.losses.get_regularization_loss()
    step = tf.train.get_or_create_global_step()
    optimizer = tf.train.MomentumOptimizer(**case['optimizer'])
    train_op = slim.learning.create_train_op(total_loss, optimizer, global_step=step, **case['train_op'])
    average = tf.train.ExponentialMovingAverage(case['ema_decay'], step)
    with tf.control_dependencies([train_op]):
        train_op = average.apply(slim.get_model_variables())
    with tf.Session() as session:
        # The averages start at the weights' values, and read them without waiting for them.
        session.run(tf.variables_initializer(slim.get_model_variables()))
        session.run(tf.global_variables_initializer())
        values = [(variable, fill.fill_variable(variable.op.name, variable.shape.as_list(), case['salt']))
                  for variable in slim.get_model_variables()]
        golden.assign(session, values + [(average.average(variable), value) for variable, value in values])
        shape, seed = case['input']['shape'], case['input']['seed']
        for i in range(case['steps']):
            feed = {images: fill.images(shape, seed + i),
                    labels: fill.labels(shape[0], case['num_classes'], seed + i)}
            losses = session.run([total_loss, regularization_loss], feed)
            expected = [case['total_loss'][i], case['regularization_loss'][i]]
            assert losses == pytest.approx(expected, rel=LOSS_LIMIT)
            session.run(train_op, feed)
        values = {variable.op.name: value for variable, value in zip(
            tf.global_variables(), session.run(tf.global_variables()))}
    assert golden.differences(values, case['variables']) < VARIABLE_LIMIT


@pytest.mark.parametrize('use_resource', [True, False])
@pytest.mark.parametrize('name', sorted(CASES))
def test_training_takes_the_same_steps(name, use_resource):
    with tf.variable_scope(tf.get_variable_scope(), use_resource=use_resource):
        check_training(CASES[name])


@pytest.mark.parametrize('averages', [False, True])
@pytest.mark.parametrize('folder_key', ['folder', 'old_format_folder'])
@pytest.mark.parametrize('name', sorted(CHECKPOINTS))
def test_saver_reads_the_checkpoints_of_tensorflow_1(name, folder_key, averages):
    case, checkpoint = CASES[name], CHECKPOINTS[name]
    images, logits, end_points = build(case, case['evaluate']['shape'], is_training=False)
    variables = slim.get_model_variables()
    if averages:
        variables = tf.train.ExponentialMovingAverage(case['ema_decay']).variables_to_restore(variables)
    with tf.Session() as session:
        tf.train.Saver(variables).restore(
            session, os.path.join(golden.FOLDER, checkpoint[folder_key], checkpoint['file']))
        output, values = session.run(
            [logits, end_points], {images: fill.images(case['evaluate']['shape'], case['evaluate']['seed'])})
    expected = checkpoint['averages' if averages else 'variables']
    assert fill.compare('logits', output, expected['logits'])['scaled'] < golden.INFERENCE_LIMIT
    assert golden.worst({key: values[key] for key in values},
                        fill.end_points(expected)) < golden.INFERENCE_LIMIT


def test_weights_differ_between_raw_and_averages():
    """Else the test above could not tell them apart."""
    for case in CHECKPOINTS.values():
        assert np.abs(case['variables']['logits'] - case['averages']['logits']).max() > 1e-3
