"""Computing in float16 or bfloat16 with variables in float32.

Source: Micikevicius et al., "Mixed Precision Training", 2018 (arXiv:1710.03740), sections 3.1 and 3.2; the scale moves
by the rule of NVIDIA's guide to mixed precision: half of it after an overflow, twice after 2000 good steps.
"""

import tensorflow.compat.v1 as tf

from nets.training.skipping import SCOPE

_FIRST_SCALE, _LARGEST_SCALE, _GROWTH_STEPS = 2.0 ** 15, 2.0 ** 24, 2000


def variable_getter(dtype):
    """What a variable scope needs as `custom_getter` to keep variables in float32.

    Args:
        dtype: `tf.float16` or `tf.bfloat16`, the type that a network on such images asks for.

    Returns:
        A function. Variables of other types, such as those of batch normalisation, are what they would be without it.
    """
    def get(getter, *args, **kwargs):
        if kwargs['dtype'] != dtype:
            return getter(*args, **kwargs)
        return tf.cast(getter(*args, **dict(kwargs, dtype=tf.float32)), dtype, name='Cast')

    return get


class LossScale:
    """A factor of the loss that keeps small gradients above zero in float16, and follows what the gradients allow.

    Attributes:
        value: Scalar float32 variable, a power of 2 from 1 to 2**24; saved in checkpoints, as is all of its state.
    """

    def __init__(self, growth_steps=_GROWTH_STEPS):
        """Adds the variables to the current graph.

        Args:
            growth_steps: Good steps in a row after which the scale is doubled.
        """
        self._growth_steps = growth_steps
        with tf.variable_scope(SCOPE, use_resource=True):
            self.value = tf.get_variable('loss_scale', initializer=_FIRST_SCALE, trainable=False)
            self._good_steps = tf.get_variable('good_steps', initializer=tf.constant(0, tf.int64), trainable=False)

    def can_shrink(self):
        """Scalar bool tensor: whether an overflow may be the scale's fault."""
        return self.value > 1

    def update(self, gradients_are_finite):
        """Moves the scale after a step whose loss was finite.

        Args:
            gradients_are_finite: Scalar bool tensor.

        Returns:
            An operation.
        """
        good = (self._good_steps + 1) * tf.cast(gradients_are_finite, tf.int64)
        grows = good >= self._growth_steps
        scale = tf.where(gradients_are_finite, self.value, tf.maximum(self.value / 2, 1))
        return tf.group(self.value.assign(tf.where(grows, tf.minimum(scale * 2, _LARGEST_SCALE), scale)),
                        self._good_steps.assign(good * tf.cast(~grows, tf.int64)))
