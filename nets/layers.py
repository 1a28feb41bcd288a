"""Convolution, batch normalisation and pooling as slim has them, with fewer graph operations and no layer objects.

Each function is the twin of slim's of the same name: the same arguments, variables, collections and operation names,
and the same place in `slim.arg_scope`, so that `slim.arg_scope([slim.conv2d], …)` reaches it.
"""

import math
import operator

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets.convolution import convolve, pad
from nets.slim_compat import BatchNormalization, add_weight, arg_scope_twin_of, variable_parts

_XAVIER = slim.xavier_initializer()
_ZEROS = tf.zeros_initializer()
_BATCH_NORM_INITIALIZERS = {
    'beta': _ZEROS, 'gamma': tf.ones_initializer(), 'moving_mean': _ZEROS, 'moving_variance': tf.ones_initializer()}


def scoped_arguments(slim_function):
    """The arguments that the current arg scope has for a function of slim, as a dict."""
    return slim.current_arg_scope().get(slim.arg_scope_func_key(slim_function), {})


@arg_scope_twin_of(slim.conv2d)
def conv2d(inputs, num_outputs, kernel_size, stride=1, padding='SAME', data_format=None, rate=1,
           activation_fn=tf.nn.relu, normalizer_fn=None, normalizer_params=None,
           weights_initializer=_XAVIER, weights_regularizer=None,
           biases_initializer=_ZEROS, biases_regularizer=None, reuse=None, variables_collections=None,
           outputs_collections=None, trainable=True, scope=None, num_groups=1):
    """2-D convolution, then normaliser (or biases), then activation; see `slim.conv2d` for the other arguments.

    Args:
      inputs: `[batch, height, width, channels]`, or `[batch, channels, height, width]` with `data_format='NCHW'`.
      num_outputs: Number of filters.
      kernel_size: An int, or two for height and width; likewise `stride` and the atrous `rate`.
      padding: 'SAME', 'VALID', or a pair of ints: zeros before and after, on height and width alike.
      num_groups: Number of groups of channels, each of which has filters of its own (Xie et al. 2017,
        arXiv:1611.05431, section 3.4). The weights are `[kernel_height, kernel_width, channels / num_groups,
        num_outputs]`.

    Returns:
      A tensor of the type of `inputs`.

    Raises:
      ValueError: If `stride` and `rate` are both above 1, `inputs` are not of rank 4 with a known channel count,
        `num_groups` does not divide the channels and the filters, or `data_format` is unknown.
    """
    data_format = data_format or 'NHWC'
    _check_data_format(data_format)
    kernel_size, stride, rate = (slim.utils.n_positive_integers(2, n) for n in (kernel_size, stride, rate))
    with tf.variable_scope(scope, 'Conv', [inputs], reuse=reuse) as sc:
        inputs = tf.convert_to_tensor(inputs)
        inputs.shape.assert_has_rank(4)
        channels = slim.utils.channel_dimension(
            inputs.shape, 'channels_first' if data_format == 'NCHW' else 'channels_last')
        if operator.index(num_groups) < 1 or channels % num_groups or num_outputs % num_groups:
            raise ValueError('num_groups must divide the channels and the filters of {}, {} and {}; got {!r}.'.format(
                sc.name, channels, num_outputs, num_groups))
        weights = _weight('weights', 'kernel', list(kernel_size) + [channels // num_groups, num_outputs], inputs,
                          weights_initializer, weights_regularizer, trainable, variables_collections)
        net = convolve(inputs, weights, stride, rate, padding, data_format)
        if normalizer_fn:
            normalizer_fn = batch_norm if normalizer_fn is slim.batch_norm else normalizer_fn
            net = normalizer_fn(net, **(normalizer_params or {}))
        elif biases_initializer:
            biases = _weight('biases', 'bias', [num_outputs], inputs, biases_initializer, biases_regularizer,
                             trainable, variables_collections)
            net = tf.nn.bias_add(net, biases, data_format=data_format, name='BiasAdd')
        if activation_fn is not None:
            net = activation_fn(net)
        return slim.utils.collect_named_outputs(outputs_collections, sc.name, net)


def he_truncated_normal(shape, dtype=tf.float32, partition_info=None):
    """What `slim.variance_scaling_initializer()` draws, in fewer operations: a normal distribution of variance
    2 / fan-in, cut off at two standard deviations, where 1.3 makes up for the variance that the cut takes away.

    Source: He et al., "Delving Deep into Rectifiers", 2015 (arXiv:1502.01852), section 2.2.
    """
    del partition_info  # of partitioned variables; every part is drawn alike
    fan_in = 1
    for size in shape[:-1]:
        fan_in *= size
    seed, seed2 = tf.get_seed(None)
    noise = tf.raw_ops.TruncatedNormal(shape=shape, dtype=dtype, seed=seed or 0, seed2=seed2 or 0)
    return noise * math.sqrt(1.3 * 2 / fan_in)


def _weight(name, layer_name, shape, inputs, initializer, regularizer, trainable, collections):
    """A model variable of the type of `inputs`, put into the collections that are wanted for it."""
    variable = add_weight(name, layer_name, shape, inputs.dtype.base_dtype, initializer, regularizer, trainable,
                          slim.model_variable)
    _collect(variable, collections, name)
    return variable


def _check_data_format(data_format):
    if data_format not in ('NHWC', 'NCHW'):
        raise ValueError("data_format must be 'NHWC' or 'NCHW'; got {!r}.".format(data_format))


def _collect(variable, variables_collections, name):
    for collection in slim.utils.get_variable_collections(variables_collections, name) or ():
        for part in variable_parts(variable):
            if not any(part is other for other in tf.get_collection_ref(collection)):
                tf.add_to_collection(collection, part)


@arg_scope_twin_of(slim.batch_norm)
def batch_norm(inputs, decay=0.999, center=True, scale=False, epsilon=0.001, activation_fn=None,
               param_initializers=None, param_regularizers=None, updates_collections=tf.GraphKeys.UPDATE_OPS,
               is_training=True, reuse=None, variables_collections=None, outputs_collections=None, trainable=True,
               batch_weights=None, fused=None, data_format='NHWC', zero_debias_moving_mean=False, scope=None,
               renorm=False, renorm_clipping=None, renorm_decay=0.99, adjustment=None):
    """Batch normalisation; see `slim.batch_norm`, which also does the work for unusual arguments."""
    arguments = dict(locals())  # nothing but the parameters, this being the first line
    _check_data_format(data_format)
    inputs = tf.convert_to_tensor(inputs)
    if (updates_collections != tf.GraphKeys.UPDATE_OPS or batch_weights is not None or zero_debias_moving_mean or
            inputs.shape.ndims == 2):
        return slim.batch_norm(**arguments)
    initializers = dict(_BATCH_NORM_INITIALIZERS, **(param_initializers or {}))
    regularizers = param_regularizers or {}
    with tf.variable_scope(scope, 'BatchNorm', [inputs], reuse=reuse) as sc:
        layer = BatchNormalization(
            1 if data_format == 'NCHW' else -1, decay, epsilon, center, scale, initializers['beta'],
            initializers['gamma'], initializers['moving_mean'], initializers['moving_variance'],
            regularizers.get('beta'), regularizers.get('gamma'), trainable, renorm, renorm_clipping, renorm_decay,
            adjustment, fused is None or fused, slim.model_variable)
        net = layer.apply(inputs, is_training)
        for name in ('moving_mean', 'moving_variance', 'beta', 'gamma'):
            if getattr(layer, name) is not None:
                _collect(getattr(layer, name), variables_collections, name)
        if activation_fn is not None:
            net = activation_fn(net)
        return slim.utils.collect_named_outputs(outputs_collections, sc.name, net)


def biased_batch_norm(inputs, biases_initializer=_ZEROS, **kwargs):
    """Biases, then `batch_norm`: the normaliser of convolutions that keep their biases, as those of Keras do.

    Batch normalisation takes away what the biases add, but weights from elsewhere have them.
    """
    data_format = kwargs.get('data_format') or scoped_arguments(slim.batch_norm).get('data_format') or 'NHWC'
    channels = inputs.shape.as_list()[1 if data_format == 'NCHW' else -1]
    biases = _weight('biases', 'bias', [channels], inputs, biases_initializer, None, True, None)
    return batch_norm(tf.nn.bias_add(inputs, biases, data_format=data_format, name='BiasAdd'), **kwargs)


@arg_scope_twin_of(slim.max_pool2d)
def max_pool2d(inputs, kernel_size, stride=2, padding='VALID', data_format='NHWC', outputs_collections=None,
               scope=None):
    """2-D max pooling; see `slim.max_pool2d` for the arguments.

    Args:
      padding: 'SAME' or 'VALID', neither of which is ever the maximum, or a pair of ints: zeros before and after, on
        height and width alike, which are where all else is negative.

    Raises:
      ValueError: If `data_format` is neither 'NHWC' nor 'NCHW'.
    """
    _check_data_format(data_format)
    kernel_size, stride = (slim.utils.n_positive_integers(2, n) for n in (kernel_size, stride))
    with tf.name_scope(scope, 'MaxPool2D', [inputs]) as sc:
        window, strides = ((1, 1) + n if data_format == 'NCHW' else (1,) + n + (1,) for n in (kernel_size, stride))
        if not isinstance(padding, str):
            inputs, padding = pad(inputs, padding, data_format), 'VALID'
        net = tf.nn.max_pool(inputs, window, strides, padding.upper(), data_format=data_format)
        return slim.utils.collect_named_outputs(outputs_collections, sc, net)


def subsample(inputs, factor, scope=None):
    """Keeps every `factor`-th row and column.

    Args:
      inputs: `[batch, height, width, channels]`.
      factor: Int, at least 1.
      scope: Scope of the operation.

    Returns:
      `[batch, ceil(height / factor), ceil(width / factor), channels]`; for factor 1, `inputs` itself.
    """
    return inputs if factor == 1 else max_pool2d(inputs, [1, 1], stride=factor, scope=scope)


def conv2d_same(inputs, num_outputs, kernel_size, stride, rate=1, scope=None, **kwargs):
    """Convolution whose strided result is every `stride`-th row and column of the unstrided one.

    With `SAME` padding that holds for odd sizes only: on even ones TensorFlow starts a strided convolution one pixel
    further in. Here the padding depends on the kernel alone.

    Args:
      inputs: `[batch, height, width, channels]`.
      num_outputs: Number of filters.
      kernel_size: Int.
      stride: Int.
      rate: Int, the atrous rate. TensorFlow has no convolution with both a stride and a rate.
      scope: Scope of the layer.
      **kwargs: Other arguments of `conv2d`.

    Returns:
      `[batch, ceil(height / stride), ceil(width / stride), num_outputs]`.

    Raises:
      ValueError: If stride and rate are both above 1.
    """
    if stride == 1:
        return conv2d(inputs, num_outputs, kernel_size, stride=1, rate=rate, padding='SAME', scope=scope, **kwargs)
    if rate != 1:
        raise ValueError('A convolution can have a stride or a rate above 1, not both; got stride {} and rate {}. An '
                         'output_stride that is reached before gives it a stride of 1.'.format(stride, rate))
    begin = (kernel_size - 1) // 2
    return conv2d(inputs, num_outputs, kernel_size, stride=stride, padding=(begin, kernel_size - 1 - begin),
                  scope=scope, **kwargs)
