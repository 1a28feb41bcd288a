"""Initializers by name."""

import inspect

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
    'constant': (tf.constant_initializer, ()),
    'zeros': (tf.zeros_initializer, ()),
    'ones': (tf.ones_initializer, ()),
})


def get(initializer):
    """An initializer from what stands for one.

    Args:
      initializer: An initializer of `tf.compat.v1` (it is returned as it is), the class or function that makes one, a
        name, a number for a constant, or an array of the shape of the variable. The names' `random_*` and
        `truncated_normal` are of 0.05, as Keras' are, `constant` is 0.

    Returns:
      A function `(shape, dtype=…, partition_info=…)`.

    Raises:
      ValueError: If there is no initializer of that name (the message lists those that there are), or if it is one of
        Keras 3, which would give the same numbers to all variables of a shape.
    """
    if isinstance(initializer, str):
        if initializer not in INITIALIZERS:
            raise ValueError('Unknown initializer {!r}; there are {}.'.format(initializer, ', '.join(INITIALIZERS)))
        function, arguments = INITIALIZERS[initializer]
        return function(*arguments)
    kind = initializer if isinstance(initializer, type) else type(initializer)
    if kind.__module__.startswith('keras.'):
        raise ValueError("Keras' initializers draw the same numbers for every variable of a shape; use a name ({}), or "
                         'one of tf.compat.v1; got {!r}.'.format(', '.join(INITIALIZERS), initializer))
    if callable(initializer):
        makes_one = isinstance(initializer, type) or 'shape' not in inspect.signature(initializer).parameters
        return initializer() if makes_one else initializer
    array = np.asarray(initializer)
    if array.dtype.kind not in 'iuf':
        raise ValueError('An initializer must be a name, a function, a number or an array of numbers; got {!r}.'.format(
            initializer))
    return _from_array(array)


def _from_array(array):
    """An initializer to the values of an array, which must be of the shape of the variable unless it is a number."""

    def from_array(shape, dtype=tf.float32, partition_info=None):
        del partition_info
        if array.ndim and list(array.shape) != list(shape):
            raise ValueError('An initial value of shape {} cannot fill a variable of shape {}.'.format(
                list(array.shape), list(shape)))
        return tf.constant(array, dtype, shape)

    return from_array
