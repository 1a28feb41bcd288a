"""Initializers by name."""

import numpy as np
import tensorflow.compat.v1 as tf

# The variance of weights is `scale` over the fan: the number of inputs of a unit (fan-in), of its outputs (fan-out), or
# the mean of both. Glorot and Bengio 2010; He et al. 2015 (arXiv:1502.01852), section 2.2; LeCun et al. 1998,
# section 4.6.
_SCALED = {'glorot': (1.0, 'fan_avg'), 'he': (2.0, 'fan_in'), 'lecun': (1.0, 'fan_in')}
_DISTRIBUTIONS = {'normal': 'truncated_normal', 'uniform': 'uniform'}

INITIALIZERS = {
    '{}_{}'.format(name, short): (tf.variance_scaling_initializer, (scale, mode, distribution))
    for name, (scale, mode) in _SCALED.items() for short, distribution in _DISTRIBUTIONS.items()}
INITIALIZERS.update({
    'xavier': INITIALIZERS['glorot_uniform'],  # what slim and tutorials call it
    'variance_scaling': (tf.variance_scaling_initializer, ()),
    'truncated_normal': (tf.truncated_normal_initializer, (0.0, 0.05)),
    'random_normal': (tf.random_normal_initializer, (0.0, 0.05)),
    'random_uniform': (tf.random_uniform_initializer, (-0.05, 0.05)),
    'orthogonal': (tf.orthogonal_initializer, ()),
    'zeros': (tf.zeros_initializer, ()),
    'ones': (tf.ones_initializer, ()),
})


def get(initializer):
    """An initializer from what stands for one.

    Args:
      initializer: An initializer (it is returned as it is), the class of one, a name, a number for a constant, or an
        array of the shape of the variable.

    Returns:
      A function `(shape, dtype=…, partition_info=…)`.

    Raises:
      ValueError: If there is no initializer of that name; the message lists those that there are.
    """
    if isinstance(initializer, str):
        if initializer not in INITIALIZERS:
            raise ValueError('Unknown initializer {!r}; there are {}.'.format(initializer, ', '.join(INITIALIZERS)))
        function, arguments = INITIALIZERS[initializer]
        return function(*arguments)
    if isinstance(initializer, type):
        return initializer()
    if callable(initializer):
        return initializer
    return _from_array(np.asarray(initializer))


def _from_array(array):
    """An initializer to the values of an array, which must be of the shape of the variable unless it is a number."""

    def from_array(shape, dtype=tf.float32, partition_info=None):
        del partition_info
        if array.ndim and list(array.shape) != list(shape):
            raise ValueError('An initial value of shape {} cannot fill a variable of shape {}.'.format(
                list(array.shape), list(shape)))
        return tf.constant(array, dtype, shape)

    return from_array
