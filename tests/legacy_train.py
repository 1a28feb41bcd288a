"""A training script as its owner wrote it for TensorFlow 1: placeholders, queues of summaries, a Session, a Saver.

It stands for the scripts of our users and is written like them. It learns which half of an image is bright.
"""

import os
import sys

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import resnet_utils, resnet_v1

tf.disable_v2_behavior()

BATCH_SIZE = 16
NUM_STEPS = 40


def next_batch(rng):
    labels = rng.randint(0, 2, BATCH_SIZE)
    images = rng.uniform(-1, 1, (BATCH_SIZE, 32, 32, 3))
    images[labels == 0, :, :16] += 1
    images[labels == 1, :, 16:] += 1
    return images, labels


def main(train_dir):
    tf.set_random_seed(1)
    rng = np.random.RandomState(1)
    images = tf.placeholder(tf.float32, [None, 32, 32, 3], name='images')
    labels = tf.placeholder(tf.int64, [None], name='labels')
    is_training = tf.placeholder_with_default(True, [], name='is_training')
    blocks = [
        resnet_utils.Block('block1', resnet_v1.bottleneck, [{'depth': 16, 'depth_bottleneck': 4, 'stride': 2}]),
        resnet_v1.resnet_v1_block('block2', base_depth=8, num_units=2, stride=1),
    ]
    with slim.arg_scope(resnet_v1.resnet_arg_scope(weight_decay=1e-4, batch_norm_decay=0.9)):
        logits, end_points = resnet_v1.resnet_v1(
            images, blocks, num_classes=2, is_training=is_training, scope='tiny')
    tf.losses.sparse_softmax_cross_entropy(labels, logits)
    total_loss = tf.losses.get_total_loss()
    accuracy = tf.reduce_mean(tf.to_float(tf.equal(tf.argmax(end_points['predictions'], 1), labels)))
    tf.summary.scalar('total_loss', total_loss)
    for variable in slim.get_model_variables():
        tf.summary.histogram(variable.op.name, variable)
    summary_op = tf.summary.merge_all()

    global_step = slim.get_or_create_global_step()
    learning_rate = tf.train.exponential_decay(0.05, global_step, 20, 0.5, staircase=True)
    optimizer = tf.train.MomentumOptimizer(learning_rate, 0.9)
    update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    with tf.control_dependencies(update_ops):
        train_op = optimizer.minimize(total_loss, global_step=global_step)

    saver = tf.train.Saver()
    writer = tf.summary.FileWriter(train_dir, tf.get_default_graph())
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for step in range(NUM_STEPS):
            batch_images, batch_labels = next_batch(rng)
            _, loss, summary = sess.run([train_op, total_loss, summary_op],
                                        feed_dict={images: batch_images, labels: batch_labels})
            writer.add_summary(summary, step)
        path = saver.save(sess, os.path.join(train_dir, 'model.ckpt'), global_step=global_step)
    writer.close()

    with tf.Session() as sess:
        saver.restore(sess, path)
        batch_images, batch_labels = next_batch(rng)
        value = sess.run(accuracy, feed_dict={images: batch_images, labels: batch_labels, is_training: False})
        pool = sess.graph.get_tensor_by_name('tiny/pool5:0')
        features = sess.run(pool, feed_dict={images: batch_images, is_training: False})
    print('loss %.3f accuracy %.3f features %s' % (loss, value, features.shape))


if __name__ == '__main__':
    main(sys.argv[1])
