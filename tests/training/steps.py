"""Steps of training on images and labels that a test gives, without files."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
import tiny_network

from nets import layers, resnet_utils
from nets.training import config, graph

SIZE, CLASSES = 9, 3


def settings(optimizer='momentum', rate=0.05, batch_size=8, **values):
    """A configuration with a fixed rate."""
    return config.TrainConfig(
        data=config.DataConfig(batch_size=batch_size),
        optimizer=config.OptimizerConfig(optimizer=optimizer),
        schedule=config.ScheduleConfig(learning_rate_decay_type='fixed', learning_rate=rate), **values)


def network(images, is_training=True, weight_decay=0.0):
    """Two convolutions with batch norm, and a classifier: logits and end points."""
    arg_scope = resnet_utils.resnet_arg_scope(weight_decay, batch_norm_decay=0.5)
    batch_norm = slim.arg_scope([slim.batch_norm], is_training=is_training)
    with slim.arg_scope(arg_scope), batch_norm, tf.variable_scope('net'):
        net = layers.conv2d(images, 4, 3, stride=2, scope='conv1')
        net = tf.reduce_mean(layers.conv2d(net, 6, 3, scope='conv2'), [1, 2], keepdims=True)
        net = layers.conv2d(net, CLASSES, 1, activation_fn=None, normalizer_fn=None, scope='logits')
        return tf.squeeze(net, [1, 2]), {}


def examples(number, seed=0):
    """Images, float32 `[number, 9, 9, 3]`, that show their labels, int64 `[number]`."""
    rng = np.random.RandomState(seed)
    labels = rng.randint(0, CLASSES, number)
    images = rng.randn(number, SIZE, SIZE, 3)
    images[np.arange(number), :, :, labels] += 2
    return images.astype(np.float32), labels


class Steps:
    """The network and a session to train it in.

    Attributes:
        config: The `TrainConfig`.
        built: The `TrainGraph`.
        session: The session.
    """

    def __init__(self, config, is_training=True, weights=None, reduce=None, seed=1, session_config=None):
        """Builds and initializes in the default graph.

        Args:
            config: The `TrainConfig`.
            is_training: What the network is built with.
            weights: Dict from name to value, as of `variables`; None for random ones.
            reduce: As of `graph.build_train_graph`.
            seed: Of the weights.
            session_config: Of the session.
        """
        self.config = config
        tf.set_random_seed(seed)
        self._images = tf.placeholder(tf.float32, [None, SIZE, SIZE, 3])
        self._labels = tf.placeholder(tf.int64, [None])
        task = tiny_network.task_of(lambda images: network(images, is_training, config.weight_decay))
        self.built = graph.build_train_graph(config, task, {'image': self._images, 'label': self._labels}, reduce)
        initialize = tf.global_variables_initializer(), tf.local_variables_initializer()
        self.session = tf.Session(config=session_config)
        self.session.run(initialize)
        self.load(weights or {})

    def load(self, values):
        """Sets variables by name."""
        loaded = [one for one in tf.global_variables() if one.op.name in values]
        self.session.run([one.initializer for one in loaded], {
            one.initializer.inputs[1]: values[one.op.name] for one in loaded})

    def variables(self):
        """Dict from name to value of all variables that are saved."""
        return self.session.run({one.op.name: one for one in tf.global_variables()})

    def accumulate(self, images, labels):
        """Takes a micro-batch that is not the last one."""
        self._run(self.built.accumulate_op, images, labels)

    def take(self, images, labels, *more):
        """Takes a step, or the last micro-batch of one; returns its metrics.

        Args:
            images: Of the batch, as are `labels`.
            *more: Options and metadata of the session's run.
        """
        return self._run((self.built.metrics, self.built.train_op), images, labels, *more)[0]

    def _run(self, fetches, images, labels, *more):
        return self.session.run(fetches, {self._images: images, self._labels: labels}, *more)


def changed(before, after):
    """The names of the variables that differ in any bit, a set."""
    assert set(before) == set(after)
    return {name for name in before if before[name].tobytes() != after[name].tobytes()}
