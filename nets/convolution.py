"""The bare convolution: strided, padded, atrous or grouped, in a form that the device can run and train."""

import contextlib
import functools

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim


def convolve(inputs, weights, stride, rate, padding, data_format):
    """Convolves images with weights; the numbers of input channels of the two tell the number of groups.

    Args:
      inputs: `[batch, height, width, channels]`, or `[batch, channels, height, width]` with 'NCHW'.
      weights: `[kernel_height, kernel_width, channels / groups, filters]`. Each group of filters sees its own group of
        channels, in order.
      stride: Two ints.
      rate: Two ints. TensorFlow has no convolution with a stride and a rate above 1.
      padding: 'SAME', 'VALID', or two ints: zeros before and after, on height and width alike.
      data_format: 'NHWC' or 'NCHW'.

    Returns:
      A tensor; that of the operation `Conv2D`, but for an atrous convolution that is not native.

    Raises:
      ValueError: If stride and rate are both above 1.
    """
    if max(stride) > 1 and max(rate) > 1:
        raise ValueError('A convolution can have a stride or a rate above 1, not both; got stride {} and rate '
                         '{}.'.format(stride, rate))
    channels = inputs.shape.as_list()[_axis(data_format)]
    num_groups = channels // weights.shape.as_list()[2]
    if num_groups == 1:
        return _convolve(inputs, weights, stride, rate, padding, data_format)
    return grouped(inputs, weights, num_groups, stride, rate, padding, data_format)


@slim.add_arg_scope
def grouped(inputs, weights, num_groups, stride, rate, padding, data_format, one_op=None):
    """Convolves each group of channels with its own filters; see `convolve` for the other arguments.

    Args:
      num_groups: Int, above 1.
      one_op: Whether to use one grouped operation, rather than one for each group between a split and a
        concatenation. The variables are the same and so are the results. None decides by the device; set it through
        `slim.arg_scope([convolution.grouped], one_op=False)`.

    Returns:
      A tensor.
    """
    if one_op or (one_op is None and _device_runs(inputs, groups=True)):
        if not isinstance(padding, str):  # oneDNN has no gradient for groups with explicit padding
            inputs, padding = pad(inputs, padding, data_format), 'VALID'
        return _convolve(inputs, weights, stride, rate, padding, data_format)
    with tf.name_scope('groups'):
        parts = [_convolve(*pair, stride, rate, padding, data_format)
                 for pair in zip(tf.split(inputs, num_groups, _axis(data_format)), tf.split(weights, num_groups, 3))]
    return tf.concat(parts, _axis(data_format), name='Conv2D')


@slim.add_arg_scope
def atrous(inputs, weights, rate, padding, data_format, native=None):
    """Convolves with kernels whose numbers are `rate` pixels apart; see `convolve` for the other arguments.

    Args:
      native: Whether to use one dilated operation, rather than one on a batch of images of every `rate`-th pixel, for
        which all are copied twice (SpaceToBatch, as everywhere in slim). The variables are the same and so are the
        results. None decides by the device; set it through `slim.arg_scope([convolution.atrous], native=False)`.
        Either form has a gradient: where a device has no kernels for that of the one operation, it is computed in the
        other form. TensorFlow finds it by a name that this module registers, so a process that imports a graph and
        builds gradients imports this module, too.

    Returns:
      A tensor.
    """
    if not isinstance(padding, str):
        inputs, padding = pad(inputs, padding, data_format), 'VALID'
    groups = inputs.shape.as_list()[_axis(data_format)] != weights.shape.as_list()[2]
    if native or (native is None and _device_runs(inputs, groups, dilated=True, gradients=False)):
        with tf.get_default_graph().gradient_override_map({'Conv2D': _ATROUS_GRADIENT}):
            return tf.nn.conv2d(inputs, weights, strides=[1] * 4, padding=padding.upper(), data_format=data_format,
                                dilations=_spatial(rate, data_format), name='Conv2D')
    return tf.nn.convolution(inputs, weights, padding.upper(), dilation_rate=rate, data_format=data_format,
                             name='Conv2D')


def _atrous_gradient(op, gradient):
    """The gradients of a dilated `Conv2D` towards images and weights, by kernels that the device has."""
    images, weights = op.inputs
    data_format, padding = (op.get_attr(name).decode() for name in ('data_format', 'padding'))
    dilations = op.get_attr('dilations')
    groups = images.shape.with_rank(4).as_list()[_axis(data_format)] != weights.shape.as_list()[2]
    if _device_runs(gradient, groups, dilated=True):
        return _gradients(images, weights, gradient, padding, data_format, dilations)
    first = 2 if data_format == 'NCHW' else 1
    rate = dilations[first:first + 2]
    zeros = [(n - 1) * r if padding == 'SAME' else 0 for n, r in zip(weights.shape.as_list()[:2], rate)]
    paddings, crops = tf.required_space_to_batch_paddings(
        tf.shape(images)[first:first + 2], rate, [[n // 2, n - n // 2] for n in zeros])
    if data_format == 'NCHW':  # the channels come first, and stay together
        rate, paddings, crops = [1] + rate, tf.pad(paddings, [[1, 0], [0, 0]]), tf.pad(crops, [[1, 0], [0, 0]])
    images, weights = _gradients(tf.space_to_batch_nd(images, rate, paddings), weights,
                                 tf.space_to_batch_nd(gradient, rate, crops), 'VALID', data_format, [1] * 4)
    return tf.batch_to_space_nd(images, rate, paddings), weights


def _gradients(images, weights, gradient, padding, data_format, dilations):
    """The gradients of a convolution of stride 1, from that of its result."""
    kwargs = {'strides': [1] * 4, 'padding': padding, 'data_format': data_format, 'dilations': dilations}
    return (tf.nn.conv2d_backprop_input(tf.shape(images), weights, gradient, **kwargs),
            tf.nn.conv2d_backprop_filter(images, tf.shape(weights), gradient, **kwargs))


_ATROUS_GRADIENT = 'NetsAtrousConv2D'
with contextlib.suppress(KeyError):  # where the module is loaded a second time
    tf.RegisterGradient(_ATROUS_GRADIENT)(_atrous_gradient)


def pad(inputs, padding, data_format):
    """Adds zeros around images: `padding` has the numbers before and after, on height and width alike."""
    return tf.pad(inputs, _paddings(padding, data_format))


def _convolve(inputs, weights, stride, rate, padding, data_format):
    if rate != (1, 1):
        return atrous(inputs, weights, rate, padding, data_format)
    padding = padding.upper() if isinstance(padding, str) else _paddings(padding, data_format)
    return tf.nn.conv2d(inputs, weights, strides=_spatial(stride, data_format), padding=padding,
                        data_format=data_format, name='Conv2D')


def _axis(data_format):
    """The axis of the channels."""
    return 1 if data_format == 'NCHW' else 3


def _spatial(numbers, data_format):
    """Numbers for height and width as a list of those for all four axes."""
    return [1, 1] + list(numbers) if data_format == 'NCHW' else [1] + list(numbers) + [1]


def _paddings(padding, data_format):
    """Zeros before and after on each axis."""
    paddings = [[0, 0]] + [list(padding)] * 2
    paddings.insert(_axis(data_format), [0, 0])
    return paddings


def _device_runs(inputs, groups=False, dilated=False, gradients=True):
    """Whether the device of the operations that are being built runs a convolution; see `cpu_runs`."""
    if tf.config.experimental.get_visible_devices('GPU'):
        device = tf.identity(inputs, name='device').device  # an operation tells where those after it are put
        if 'CPU' not in device.upper():
            return True
    return cpu_runs(inputs.dtype.base_dtype, groups, dilated, gradients)


@functools.lru_cache(maxsize=None)
def cpu_runs(dtype=tf.float32, groups=False, dilated=False, gradients=True):
    """Whether this processor's kernels run a convolution, and train it.

    Those of oneDNN do for some types; TensorFlow's own have no gradient of groups or dilations, and none that fuses
    groups with biases and activation. A small one is tried, once in a process.

    Args:
      dtype: Type of images and weights.
      groups: Whether the channels are in groups.
      dilated: Whether the rate is above 1.
      gradients: Whether gradients are wanted, too.

    Returns:
      A bool.
    """
    with tf.Graph().as_default(), tf.device('/cpu:0'):
        inputs, weights = tf.placeholder(dtype, [1, 5, 5, 4]), tf.placeholder(dtype, [3, 3, 2 if groups else 4, 4])
        net = tf.nn.conv2d(inputs, weights, strides=[1] * 4, padding='SAME', dilations=_spatial(
            (2, 2) if dilated else (1, 1), 'NHWC'))
        feed = {one: np.ones(one.shape.as_list(), one.dtype.as_numpy_dtype) for one in (inputs, weights)}
        with tf.Session(config=tf.ConfigProto(device_count={'GPU': 0})) as session:
            try:
                session.run(net, feed)  # on its own first: where this fails, the gradient may end the process
                if gradients:
                    session.run(tf.gradients(net, [inputs, weights]), feed)
            except tf.errors.OpError:
                return False
    return True
