"""Sums over the micro-batches of a step, in local variables: a checkpoint falls between steps, when they are empty."""

import tensorflow.compat.v1 as tf


def local_variable(initial_value):
    """A variable that is not saved and not trained."""
    return tf.Variable(initial_value, trainable=False, collections=[tf.GraphKeys.LOCAL_VARIABLES], use_resource=True)


class Accumulator:
    """Means of tensors over the micro-batches of a step.

    Attributes:
        count: Scalar int64 variable: micro-batches that have been added since the last step.
    """

    def __init__(self):
        """Adds the counter to the current graph."""
        self.count = local_variable(tf.constant(0, tf.int64))
        self._sums, self._additions = [], []

    def mean(self, tensors):
        """Means of float tensors of known shapes over the micro-batches that have been added and the one at hand."""
        sums = [local_variable(tf.zeros(tensor.shape, tensor.dtype)) for tensor in tensors]
        self._sums += sums
        self._additions += [one.assign_add(tensor, read_value=False) for one, tensor in zip(sums, tensors, strict=True)]
        parts = self.count + 1
        return [(one + tensor) / tf.cast(parts, tensor.dtype) for one, tensor in zip(sums, tensors, strict=True)]

    def add(self, operations):
        """An operation that adds the micro-batch at hand to all means, and runs other operations."""
        with tf.control_dependencies([*self._additions, *operations]):
            return self.count.assign_add(1, read_value=False)

    def reset(self):
        """An operation after which no micro-batch has been added."""
        return tf.group(*[one.assign(tf.zeros_like(one), read_value=False) for one in [self.count, *self._sums]])
