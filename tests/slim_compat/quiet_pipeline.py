"""A pipeline in TensorFlow 1's style: builds layers of slim, trains, restores and evaluates them.

`test_repair.py` runs it with warnings as errors and reads what it prints.
"""

import os
import sys

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

import nets.slim_compat  # noqa: F401


def network(images, is_training):
    """Logits of a network of most of slim's layers."""
    normalised = [slim.conv2d, slim.separable_conv2d, slim.conv2d_transpose, slim.fully_connected]
    with slim.arg_scope(normalised, normalizer_fn=slim.batch_norm, normalizer_params={'is_training': is_training},
                        weights_regularizer=slim.l2_regularizer(1e-4)):
        net = slim.conv2d(images, 8, 3)
        net = slim.max_pool2d(net, 2)
        net = slim.separable_conv2d(net, 8, 3, 1)
        net = slim.separable_conv2d(net, None, 3, 1)
        net = slim.conv2d_transpose(net, 8, 3, 2)
        net = slim.avg_pool2d(net, 2)
        net = slim.batch_norm(net, is_training=is_training, fused=False, renorm=True)
        net = slim.batch_norm(net, is_training=is_training, updates_collections=None)
        net = slim.conv2d(net, 8, 3, rate=2)
        net = slim.dropout(slim.layer_norm(net), 0.9, is_training=is_training)
        net = slim.repeat(net, 2, slim.conv2d, 4, 3)
        net = slim.fully_connected(slim.flatten(net), 8)
    return slim.fully_connected(net, 3, activation_fn=None)


def examples():
    """Images of three classes and their labels."""
    labels = np.arange(6) % 3
    images = np.random.RandomState(0).normal(labels[:, None, None, None], 0.1, (6, 12, 12, 3))
    return tf.constant(images, tf.float32), tf.constant(labels)


def train(folder):
    """Trains for three steps, with every argument that changes gradients."""
    with tf.Graph().as_default():
        images, labels = examples()
        logits = network(images, True)
        tf.losses.softmax_cross_entropy(slim.one_hot_encoding(labels, 3), logits)
        loss = tf.losses.get_total_loss()
        train_op = slim.learning.create_train_op(
            loss, tf.train.MomentumOptimizer(0.01, 0.9), clip_gradient_norm=1.0, summarize_gradients=True,
            gradient_multipliers={slim.get_model_variables()[0].op.name: 2.0})
        tf.summary.scalar('loss', loss)
        return slim.learning.train(train_op, folder, number_of_steps=3, save_summaries_secs=1)


def evaluate(folder):
    """Restores by hand and evaluates once and in a loop."""
    with tf.Graph().as_default():
        images, labels = examples()
        predictions = tf.argmax(network(images, False), 1)
        tf.train.get_or_create_global_step()
        values, updates = slim.metrics.aggregate_metric_map({
            'accuracy': tf.metrics.accuracy(labels, predictions),
            'mean': tf.metrics.mean(predictions)})
        checkpoint = tf.train.latest_checkpoint(folder)
        variables = slim.get_variables_to_restore(exclude=['fully_connected_1'])
        with tf.Session() as session:
            slim.assign_from_checkpoint_fn(checkpoint, variables)(session)
        logs = os.path.join(folder, 'evaluation')
        slim.evaluation.evaluation_loop('', folder, logs, num_evals=1, eval_op=list(updates.values()),
                                        max_number_of_evaluations=1, eval_interval_secs=1)
        return slim.evaluation.evaluate_once('', checkpoint, logs, num_evals=2, eval_op=list(updates.values()),
                                             final_op=values)


if __name__ == '__main__':
    tf.disable_eager_execution()
    print('loss', train(sys.argv[1]))
    print(evaluate(sys.argv[1]))
