"""The bare convolution: strided, padded, atrous or grouped, in a form that the device can run and train."""

import functools

import tensorflow.compat.v1 as tf
import tf_slim as slim


def convolve(inputs, weights, stride, rate, padding, data_format):
    """Convolves images with weights; the numbers of input channels of the two tell the number of groups.

    Args:
      inputs: `[batch, height, width, channels]`, or `[batch, channels, height, width]` with 'NCHW'.
      weights: `[kernel_height, kernel_width, channels / groups, filters]`. Each group of filters sees its own group of
        channels, in order.
      stride: Two ints.
      rate: Two ints. An atrous convolution is computed on batches of subsampled images, as everywhere in slim.
      padding: 'SAME', 'VALID', or two ints: zeros before and after, on height and width alike.
      data_format: 'NHWC' or 'NCHW'.

    Returns:
      A tensor; that of the operation `Conv2D`, whatever the form.
    """
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
    if one_op or (one_op is None and _device_groups(inputs)):
        if not isinstance(padding, str):  # oneDNN has no gradient for groups with explicit padding
            inputs, padding = pad(inputs, padding, data_format), 'VALID'
        return _convolve(inputs, weights, stride, rate, padding, data_format)
    with tf.name_scope('groups'):
        parts = [_convolve(*pair, stride, rate, padding, data_format)
                 for pair in zip(tf.split(inputs, num_groups, _axis(data_format)), tf.split(weights, num_groups, 3))]
    return tf.concat(parts, _axis(data_format), name='Conv2D')


def pad(inputs, padding, data_format):
    """Adds zeros around images: `padding` has the numbers before and after, on height and width alike."""
    return tf.pad(inputs, _paddings(padding, data_format))


def _convolve(inputs, weights, stride, rate, padding, data_format):
    padding = padding.upper() if isinstance(padding, str) else _paddings(padding, data_format)
    if rate != (1, 1):
        return tf.nn.convolution(inputs, weights, padding, strides=stride, dilation_rate=rate, data_format=data_format,
                                 name='Conv2D')
    strides = (1, 1) + stride if data_format == 'NCHW' else (1,) + stride + (1,)
    return tf.nn.conv2d(inputs, weights, strides=strides, padding=padding, data_format=data_format, name='Conv2D')


def _axis(data_format):
    """The axis of the channels."""
    return 1 if data_format == 'NCHW' else 3


def _paddings(padding, data_format):
    """Zeros before and after on each axis."""
    paddings = [[0, 0]] + [list(padding)] * 2
    paddings.insert(_axis(data_format), [0, 0])
    return paddings


def _device_groups(inputs):
    """Whether the device of the operations that are being built runs and trains a grouped convolution."""
    if tf.config.experimental.get_visible_devices('GPU'):
        device = tf.identity(inputs, name='device').device  # an operation tells where those after it are put
        if 'CPU' not in device.upper():
            return True
    return cpu_groups(inputs.dtype.base_dtype)


@functools.lru_cache(maxsize=None)
def cpu_groups(dtype=tf.float32):
    """Whether this processor's kernels run and train a grouped convolution of a type.

    Those of oneDNN do for some types; TensorFlow's own have no gradient and none that is fused with biases and
    activation. A small one is tried, once in a process.
    """
    with tf.Graph().as_default(), tf.device('/cpu:0'):
        inputs, weights = tf.ones([1, 2, 2, 4], dtype), tf.ones([1, 1, 2, 4], dtype)
        net = tf.nn.conv2d(inputs, weights, strides=[1, 1, 1, 1], padding='SAME')
        with tf.Session(config=tf.ConfigProto(device_count={'GPU': 0})) as session:
            try:
                session.run(net)  # on its own first: where this fails, the gradient may end the process
                session.run(tf.gradients(net, [inputs, weights]))
            except tf.errors.OpError:
                return False
    return True
