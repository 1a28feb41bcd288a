"""Steps of training on images and labels that a test gives, without files."""

import numpy as np
import tensorflow.compat.v1 as tf
import tiny_network

from nets import nets_factory
from nets.training import config, graph

CLASSES = 3


def settings(optimizer='momentum', rate=0.05, batch_size=8, **values):
    """A configuration with a fixed rate."""
    return config.TrainConfig(
        model_name='tiny', data=config.DataConfig(batch_size=batch_size),
        optimizer=config.OptimizerConfig(optimizer=optimizer),
        schedule=config.ScheduleConfig(learning_rate_decay_type='fixed', learning_rate=rate), **values)


def examples(number, seed=0):
    """Images, float32 `[number, 17, 17, 3]`, that show their labels, int64 `[number]`."""
    rng = np.random.RandomState(seed)
    labels = rng.randint(0, CLASSES, number)
    images = rng.randn(number, tiny_network.SIZE, tiny_network.SIZE, 3)
    images[np.arange(number), :, :, labels] += 2
    return images.astype(np.float32), labels


class Steps:
    """A network and a session to train it in.

    Attributes:
        built: The `TrainGraph`.
        session: The session.
    """

    def __init__(self, config, is_training=True, weights=None, reduce=None, network='tiny', seed=1):
        """Builds and initializes in the default graph.

        Args:
            config: The `TrainConfig`.
            is_training: What the network is built with.
            weights: Dict from name to value, as of `variables`; None for random ones.
            reduce: As of `graph.build_train_graph`.
            network: Name of the network.
            seed: Of the weights.
        """
        tiny_network.register()
        tf.set_random_seed(seed)
        size = tiny_network.SIZE
        self._images = tf.placeholder(tf.float32, [None, size, size, 3])
        self._labels = tf.placeholder(tf.int64, [None])
        network_fn = nets_factory.get_network_fn(network, CLASSES, config.weight_decay, is_training,
                                                 batch_norm_decay=0.5)
        self.built = graph.build_train_graph(config, tiny_network.task_of(network_fn), {
            'image': self._images, 'label': self._labels}, reduce)
        initialize = tf.global_variables_initializer(), tf.local_variables_initializer()
        self.session = tf.Session()
        self.session.run(initialize)
        self.load(weights or {})

    def load(self, values):
        """Sets variables by name."""
        for one in tf.global_variables():
            if one.op.name in values:
                one.load(values[one.op.name], self.session)

    def variables(self):
        """Dict from name to value of all variables that are saved."""
        return self.session.run({one.op.name: one for one in tf.global_variables()})

    def accumulate(self, images, labels):
        """Takes a micro-batch that is not the last one."""
        self._run(self.built.accumulate_op, images, labels)

    def take(self, images, labels):
        """Takes a step, or the last micro-batch of one; returns its metrics."""
        return self._run((self.built.metrics, self.built.train_op), images, labels)[0]

    def _run(self, fetches, images, labels):
        return self.session.run(fetches, {self._images: images, self._labels: labels})


def changed(before, after):
    """The names of the variables that differ in any bit, a set."""
    assert set(before) == set(after)
    return {name for name in before if before[name].tobytes() != after[name].tobytes()}
