"""Checks the arguments of the applications as Keras checks them, before anything is fetched or built."""

import collections
import warnings

import numpy as np
import tensorflow.compat.v1 as tf

# What is to be built. image_shape: [height, width, channels], None where it is open. num_classes: None without a top.
# pooling: 'avg', 'max' or None. activation_fn: function of the logits, or None; None without a top.
Arguments = collections.namedtuple('Arguments', ['image_shape', 'num_classes', 'pooling', 'activation_fn'])

_DEFAULT_SIZE = 224
_MIN_SIZE = 32
_POOLINGS = (None, 'avg', 'max')
ACTIVATIONS = {
    None: None, 'linear': None, 'softmax': tf.nn.softmax, 'sigmoid': tf.sigmoid, 'tanh': tf.tanh, 'elu': tf.nn.elu,
    'exponential': tf.exp, 'leaky_relu': tf.nn.leaky_relu, 'log_softmax': tf.nn.log_softmax, 'relu': tf.nn.relu,
    'relu6': tf.nn.relu6, 'selu': tf.nn.selu, 'softplus': tf.nn.softplus, 'softsign': tf.nn.softsign}
_PRETRAINED_ACTIVATIONS = (None, 'linear', 'softmax')


def check(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation):
    """Checks the arguments of an application; for what they are see `application.application`.

    Returns:
        `Arguments`.

    Raises:
        ValueError: One of them cannot be; the message says what can.
    """
    if pooling not in _POOLINGS:
        raise ValueError("pooling must be None, 'avg' or 'max'; got {!r}.".format(pooling))
    pretrained = weights == 'imagenet'
    shape = _image_shape(input_shape)
    if input_tensor is not None:
        shape = _merged(_tensor_shape(input_tensor), shape)
    elif shape is None:
        shape = [_DEFAULT_SIZE, _DEFAULT_SIZE, 3] if include_top else [None, None, 3]
    _check_shape(shape, pretrained, include_top and input_tensor is None)
    if not include_top:
        return Arguments(shape, None, pooling, None)
    _check_classes(classes, pretrained)
    return Arguments(shape, int(classes), None, _activation(classifier_activation, weights is not None))


def _image_shape(input_shape):
    """The shape as a list, or None if none was given."""
    if input_shape is None:
        return None
    try:
        shape = list(input_shape)
    except TypeError:
        shape = []
    if len(shape) != 3 or not all(size is None or _is_whole_number(size) for size in shape):
        raise ValueError('input_shape must be three whole numbers, (height, width, channels), without the batch; '
                         'height and width may be None. Got {!r}.'.format(input_shape))
    return [size if size is None else int(size) for size in shape]


def _tensor_shape(input_tensor):
    """Height, width and channels of a tensor of a graph."""
    if not isinstance(input_tensor, tf.Tensor) or not isinstance(getattr(input_tensor, 'graph', None), tf.Graph):
        raise ValueError('input_tensor must be a tensor of a graph, such as a tf.compat.v1.placeholder; got {!r}. To '
                         'run a model on arrays, leave it out and use predict.'.format(type(input_tensor).__name__))
    shape = input_tensor.shape
    if shape.ndims != 4 or not (input_tensor.dtype.is_floating or input_tensor.dtype.is_integer):
        raise ValueError('input_tensor must be numbers of the shape [batch, height, width, channels]; got {} of the '
                         'shape {}.'.format(input_tensor.dtype.name, shape))
    return shape.as_list()[1:]


def _merged(shape, given):
    """The shape of a tensor, which must agree with the shape that was given, if one was."""
    for size, wanted in zip(shape, given or shape):
        if None not in (size, wanted) and size != wanted:
            raise ValueError('input_shape must agree with the shape of input_tensor, {}; got {}.'.format(
                tuple(shape), tuple(given)))
    return [wanted if size is None else size for size, wanted in zip(shape, given or shape)]


def _check_shape(shape, pretrained, fixed_size):
    """Checks height, width and channels; `fixed_size` says that a top is to be put on a size that is known."""
    height, width, channels = shape
    if channels is None or channels < 1:
        raise ValueError('The number of channels must be known and at least 1; got the shape {}.'.format(tuple(shape)))
    if pretrained and channels != 3:
        raise ValueError("With weights='imagenet' images must have 3 channels; got the shape {}. Use weights=None for "
                         'others.'.format(tuple(shape)))
    if not pretrained and channels not in (1, 3):
        warnings.warn('Images usually have 1 or 3 channels; got the shape {}.'.format(tuple(shape)), stacklevel=4)
    if any(size is not None and size < _MIN_SIZE for size in (height, width)):
        raise ValueError('Images must be at least {0} x {0}; got the shape {1}.'.format(_MIN_SIZE, tuple(shape)))
    if fixed_size and None in (height, width):
        raise ValueError('With include_top=True height and width must be known; got the shape {}. Use '
                         'include_top=False for images of any size.'.format(tuple(shape)))
    if fixed_size and pretrained and (height, width) != (_DEFAULT_SIZE, _DEFAULT_SIZE):
        raise ValueError("With include_top=True and weights='imagenet' images must be {0} x {0} x 3; got the shape "
                         '{1}. Use include_top=False for another size.'.format(_DEFAULT_SIZE, tuple(shape)))


def _check_classes(classes, pretrained):
    if not _is_whole_number(classes) or classes < 1:
        raise ValueError('classes must be a whole number from 1; got {!r}.'.format(classes))
    if pretrained and classes != 1000:
        raise ValueError("With include_top=True and weights='imagenet' classes must be 1000; got {!r}. Use "
                         'include_top=False for a classifier of your own.'.format(classes))


def _activation(activation, pretrained):
    """The function that a name of an activation means."""
    if pretrained and activation not in _PRETRAINED_ACTIVATIONS:
        raise ValueError("With weights classifier_activation must be None or 'softmax'; got {!r}.".format(activation))
    if callable(activation):
        return activation
    if not isinstance(activation, (str, type(None))) or activation not in ACTIVATIONS:
        raise ValueError('classifier_activation must be a function, or one of {}; got {!r}.'.format(
            ', '.join(map(repr, ACTIVATIONS)), activation))
    return ACTIVATIONS[activation]


def _is_whole_number(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
