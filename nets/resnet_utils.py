"""What the residual networks share: a network is a list of blocks, and one loop builds it.

Sources: He et al., "Deep Residual Learning for Image Recognition", 2015 (arXiv:1512.03385), section 3 and table 1;
Chen et al., "DeepLab", 2016 (arXiv:1606.00915), section 3.1, for atrous convolution in place of striding.
"""

import collections

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers

# Scope, base depth and stride of the blocks of the usual networks (He et al. 2015, table 1).
BLOCKS = (('block1', 64, 2), ('block2', 128, 2), ('block3', 256, 2), ('block4', 512, 1))


class Block(collections.namedtuple('Block', ['scope', 'unit_fn', 'args'])):
    """A block of residual units.

    Attributes:
      scope: The block's scope, a string.
      unit_fn: Function `(net, rate=…, **arguments)` that builds one unit and returns its output.
      args: One dict for each unit: the arguments of `unit_fn`. Their 'stride' (1 where there is none) counts towards
        the output stride.
    """


def resnet_block(unit_fn, scope, base_depth, num_units, stride):
    """A block of bottleneck units, the last of which has the stride.

    Args:
      unit_fn: Function that builds a unit with the arguments `depth`, `depth_bottleneck` and `stride`.
      scope: The block's scope.
      base_depth: Channels inside the units; four times as many come out.
      num_units: Number of units, at least 1.
      stride: Stride of the block.

    Returns:
      A `Block`.

    Raises:
      ValueError: If `num_units` is less than 1.
    """
    if num_units < 1:
        raise ValueError('num_units of {!r} must be at least 1; got {!r}.'.format(scope, num_units))
    unit = {'depth': base_depth * 4, 'depth_bottleneck': base_depth, 'stride': 1}
    return Block(scope, unit_fn, [dict(unit) for _ in range(num_units - 1)] + [dict(unit, stride=stride)])


def as_network(function, name, module, default_image_size=224):
    """Gives a function the name, module and default image size (in pixels) of a network, and returns it."""
    function.__name__ = function.__qualname__ = name
    function.__module__ = module
    function.default_image_size = default_image_size
    return function


def subsample(inputs, factor, scope=None):
    """Keeps every `factor`-th row and column.

    Args:
      inputs: `[batch, height, width, channels]`.
      factor: Int, at least 1.
      scope: Scope of the operation.

    Returns:
      `[batch, ceil(height / factor), ceil(width / factor), channels]`; for factor 1, `inputs` itself.
    """
    return inputs if factor == 1 else layers.max_pool2d(inputs, [1, 1], stride=factor, scope=scope)


def conv2d_same(inputs, num_outputs, kernel_size, stride, rate=1, scope=None):
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

    Returns:
      `[batch, ceil(height / stride), ceil(width / stride), num_outputs]`.

    Raises:
      ValueError: If stride and rate are both above 1.
    """
    if stride == 1:
        return layers.conv2d(inputs, num_outputs, kernel_size, stride=1, rate=rate, padding='SAME', scope=scope)
    if rate != 1:
        raise ValueError('A convolution can have a stride or a rate above 1, not both; got stride {} and rate '
                         '{}.'.format(stride, rate))
    begin = (kernel_size - 1) // 2
    return layers.conv2d(inputs, num_outputs, kernel_size, stride=stride, padding=(begin, kernel_size - 1 - begin),
                         scope=scope)


def reachable_output_strides(blocks):
    """The output strides that a stack of blocks can have: the products of the strides of its first units."""
    strides = [1]
    for block in blocks:
        for unit in block.args:
            stride = strides[-1] * unit.get('stride', 1)
            if stride != strides[-1]:
                strides.append(stride)
    return strides


def check_output_stride(output_stride, reachable):
    """Checks an output stride.

    Args:
      output_stride: Number, or None.
      reachable: Ints, the allowed ones.

    Returns:
      The output stride as an int, or None.

    Raises:
      ValueError: If it is neither None nor one of `reachable`; whole floats are.
    """
    if output_stride is None:
        return None
    if isinstance(output_stride, bool) or np.ndim(output_stride) or output_stride not in reachable:
        raise ValueError('output_stride must be one of {} or None; got {!r}.'.format(
            ', '.join(map(str, reachable)), output_stride))
    return int(output_stride)


@slim.add_arg_scope
def stack_blocks_dense(net, blocks, output_stride=None, store_non_strided_activations=False,
                       outputs_collections=None):
    """Builds one block after the other, with a chosen density of the result.

    Once the output stride is reached, units run with stride 1, and what would have been their stride multiplies the
    atrous rate of the units after them. Subsampling the result gives that of the nominal strides.

    Args:
      net: `[batch, height, width, channels]`.
      blocks: List of `Block`s.
      output_stride: One of the products of the strides of the first so many units, or None for that of all of them.
      store_non_strided_activations: Whether each block collects its result at the stride that it has before the
        last unit; the stride follows as a subsampling between the blocks.
      outputs_collections: Collection for the result of each block, under the name of its scope.

    Returns:
      `[batch, ceil(height / output_stride), ceil(width / output_stride), channels of the last unit]`.

    Raises:
      ValueError: If the output stride cannot be reached.
    """
    output_stride = check_output_stride(output_stride, reachable_output_strides(blocks))
    current_stride = 1
    rate = 1
    for block in blocks:
        with tf.variable_scope(block.scope, 'block', [net]) as sc:
            block_stride = 1
            for i, unit in enumerate(block.args):
                stride = unit.get('stride', 1)
                if store_non_strided_activations and i == len(block.args) - 1:
                    block_stride, stride = stride, 1
                    unit = dict(unit, stride=1)
                with tf.variable_scope('unit_{}'.format(i + 1), values=[net]):
                    if current_stride == output_stride:
                        net = block.unit_fn(net, rate=rate, **dict(unit, stride=1))
                        rate *= stride
                    else:
                        net = block.unit_fn(net, rate=1, **unit)
                        current_stride *= stride
            net = slim.utils.collect_named_outputs(outputs_collections, sc.name, net)
            if current_stride == output_stride:
                rate *= block_stride
            else:
                net = subsample(net, block_stride)
                current_stride *= block_stride
    return net


def resnet_arg_scope(weight_decay=0.0001, batch_norm_decay=0.997, batch_norm_epsilon=1e-5, batch_norm_scale=True,
                     activation_fn=tf.nn.relu, use_batch_norm=True,
                     batch_norm_updates_collections=tf.GraphKeys.UPDATE_OPS, weights_initializer=None):
    """The defaults of the layers of a residual network, those that the published checkpoints were trained with.

    Args:
      weight_decay: Factor of the L2 loss of the convolutions' weights, half their sum of squares.
      batch_norm_decay: Decay of the moving averages of batch normalisation.
      batch_norm_epsilon: Added to variances against division by zero.
      batch_norm_scale: Whether batch normalisation multiplies by `gamma`.
      activation_fn: Activation of the convolutions.
      use_batch_norm: Whether convolutions have batch normalisation, in place of biases.
      batch_norm_updates_collections: Collection for the updates of the moving averages; None updates them in place.
      weights_initializer: Initializer of the convolutions' weights; None for He et al. 2015 (arXiv:1502.01852),
        section 2.2: a truncated normal distribution of variance 2 / fan-in.

    Returns:
      An arg scope, for `slim.arg_scope`.
    """
    batch_norm_params = {
        'decay': batch_norm_decay,
        'epsilon': batch_norm_epsilon,
        'scale': batch_norm_scale,
        'updates_collections': batch_norm_updates_collections,
        'fused': None,
    }
    with slim.arg_scope(
            [slim.conv2d],
            weights_regularizer=slim.l2_regularizer(weight_decay),
            weights_initializer=weights_initializer or layers.he_truncated_normal,
            activation_fn=activation_fn,
            normalizer_fn=slim.batch_norm if use_batch_norm else None,
            normalizer_params=batch_norm_params), \
            slim.arg_scope([slim.batch_norm], **batch_norm_params), \
            slim.arg_scope([slim.max_pool2d], padding='SAME') as arg_scope:
        return arg_scope
