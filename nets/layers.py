"""Convolution, batch normalisation and pooling as slim has them, with fewer graph operations and no layer objects.

Each function is the twin of slim's of the same name: the same arguments, variables, collections and operation names,
and the same place in `slim.arg_scope`, so that `slim.arg_scope([slim.conv2d], …)` reaches it.
"""

import math

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets.slim_compat import BatchNormalization, add_weight, arg_scope_twin_of, variable_parts

_XAVIER = slim.xavier_initializer()
_ZEROS = tf.zeros_initializer()
_BATCH_NORM_INITIALIZERS = {
    'beta': _ZEROS, 'gamma': tf.ones_initializer(), 'moving_mean': _ZEROS, 'moving_variance': tf.ones_initializer()}


@arg_scope_twin_of(slim.conv2d)
def conv2d(inputs, num_outputs, kernel_size, stride=1, padding='SAME', data_format=None, rate=1,
           activation_fn=tf.nn.relu, normalizer_fn=None, normalizer_params=None,
           weights_initializer=_XAVIER, weights_regularizer=None,
           biases_initializer=_ZEROS, biases_regularizer=None, reuse=None, variables_collections=None,
           outputs_collections=None, trainable=True, scope=None):
    """2-D convolution, then normaliser (or biases), then activation; see `slim.conv2d` for the arguments.

    Args:
      inputs: `[batch, height, width, channels]`, or `[batch, channels, height, width]` with `data_format='NCHW'`.
      num_outputs: Number of filters.
      kernel_size: An int, or two for height and width; likewise `stride` and the atrous `rate`.
      padding: 'SAME', 'VALID', or a pair of ints: zeros before and after, on height and width alike.

    Returns:
      A tensor of the type of `inputs`.

    Raises:
      ValueError: If `stride` and `rate` are both above 1, `inputs` are not of rank 4 with a known channel count, or
        `data_format` is unknown.
    """
    data_format = data_format or 'NHWC'
    _check_data_format(data_format)
    kernel_size, stride, rate = (slim.utils.n_positive_integers(2, n) for n in (kernel_size, stride, rate))
    with tf.variable_scope(scope, 'Conv', [inputs], reuse=reuse) as sc:
        inputs = tf.convert_to_tensor(inputs)
        inputs.shape.assert_has_rank(4)
        channels = slim.utils.channel_dimension(
            inputs.shape, 'channels_first' if data_format == 'NCHW' else 'channels_last')
        weights = _weight('weights', 'kernel', list(kernel_size) + [channels, num_outputs], inputs, weights_initializer,
                          weights_regularizer, trainable, variables_collections)
        net = _convolution(inputs, weights, stride, rate, padding, data_format)
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


def _convolution(inputs, weights, stride, rate, padding, data_format):
    """The bare convolution; an atrous one is computed on batches of subsampled images, as everywhere in slim."""
    padding = padding.upper() if isinstance(padding, str) else padding
    if rate != (1, 1):
        return tf.nn.convolution(inputs, weights, padding, strides=stride, dilation_rate=rate, data_format=data_format,
                                 name='Conv2D')
    if not isinstance(padding, str):
        padding = [[0, 0], list(padding), list(padding)]
        padding.insert(1 if data_format == 'NCHW' else 3, [0, 0])
    strides = (1, 1) + stride if data_format == 'NCHW' else (1,) + stride + (1,)
    return tf.nn.conv2d(inputs, weights, strides=strides, padding=padding, data_format=data_format, name='Conv2D')


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


@arg_scope_twin_of(slim.max_pool2d)
def max_pool2d(inputs, kernel_size, stride=2, padding='VALID', data_format='NHWC', outputs_collections=None,
               scope=None):
    """2-D max pooling; see `slim.max_pool2d` for the arguments.

    Raises:
      ValueError: If `data_format` is neither 'NHWC' nor 'NCHW'.
    """
    _check_data_format(data_format)
    kernel_size, stride = (slim.utils.n_positive_integers(2, n) for n in (kernel_size, stride))
    with tf.name_scope(scope, 'MaxPool2D', [inputs]) as sc:
        window, strides = ((1, 1) + n if data_format == 'NCHW' else (1,) + n + (1,) for n in (kernel_size, stride))
        net = tf.nn.max_pool(inputs, window, strides, padding.upper(), data_format=data_format)
        return slim.utils.collect_named_outputs(outputs_collections, sc, net)
