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
    axis = 1 if data_format == 'NCHW' else 3
    one = functools.partial(_convolve, stride=stride, rate=rate, padding=_explicit(padding, axis),
                            data_format=data_format)
    num_groups = inputs.shape.as_list()[axis] // weights.shape.as_list()[2]
    if num_groups == 1:
        return one(inputs, weights)
    return grouped(inputs, weights, num_groups, one, axis)


@slim.add_arg_scope
def grouped(inputs, weights, num_groups, convolve_fn, axis, one_op=None):
    """Convolves each group of channels with its own filters.

    Args:
      inputs, weights: As in `convolve`.
      num_groups: Int, above 1.
      convolve_fn: Function `(inputs, weights)` that convolves.
      axis: Int, the axis of the channels of `inputs`.
      one_op: Whether to use one grouped operation, rather than one for each group between a split and a
        concatenation. The variables are the same and so are the results. None decides by the device; set it through
        `slim.arg_scope([convolution.grouped], one_op=False)`.

    Returns:
      A tensor.
    """
    if one_op or (one_op is None and _device_groups()):
        return convolve_fn(inputs, weights)
    with tf.name_scope('groups'):
        parts = [convolve_fn(*pair) for pair in zip(tf.split(inputs, num_groups, axis),
                                                    tf.split(weights, num_groups, 3))]
    return tf.concat(parts, axis, name='Conv2D')


def _convolve(inputs, weights, stride, rate, padding, data_format):
    if rate != (1, 1):
        return tf.nn.convolution(inputs, weights, padding, strides=stride, dilation_rate=rate, data_format=data_format,
                                 name='Conv2D')
    strides = (1, 1) + stride if data_format == 'NCHW' else (1,) + stride + (1,)
    return tf.nn.conv2d(inputs, weights, strides=strides, padding=padding, data_format=data_format, name='Conv2D')


def _explicit(padding, axis):
    """The padding as TensorFlow's convolutions take it."""
    if isinstance(padding, str):
        return padding.upper()
    paddings = [[0, 0]] + [list(padding)] * 2
    paddings.insert(axis, [0, 0])
    return paddings


def _device_groups():
    """Whether the device of the operations that are being built runs and trains a grouped convolution."""
    if not tf.config.experimental.list_physical_devices('GPU') or 'CPU' in tf.no_op('device').device.upper():
        return cpu_groups()
    return True


@functools.lru_cache(maxsize=None)
def cpu_groups():
    """Whether this processor's kernels run and train a grouped convolution.

    Those of oneDNN do; TensorFlow's own have no gradient. A small one is tried, once in a process.
    """
    with tf.Graph().as_default(), tf.device('/cpu:0'):
        inputs, weights = tf.ones([1, 2, 2, 4]), tf.ones([1, 1, 2, 4])
        net = tf.nn.conv2d(inputs, weights, strides=[1, 1, 1, 1], padding='SAME')
        with tf.Session(config=tf.ConfigProto(device_count={'GPU': 0})) as session:
            try:
                session.run(net)  # on its own first: where this fails, the gradient may end the process
                session.run(tf.gradients(net, [inputs, weights]))
            except tf.errors.OpError:
                return False
    return True
