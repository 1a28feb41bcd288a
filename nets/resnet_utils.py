"""What the residual networks share: a network is a list of blocks, and one loop builds it.

Sources: He et al., "Deep Residual Learning for Image Recognition", 2015 (arXiv:1512.03385), section 3 and table 1;
Chen et al., "DeepLab", 2016 (arXiv:1606.00915), section 3.1, for atrous convolution in place of striding.
"""

import collections
import inspect

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import initializers, layers, units
from nets.layers import conv2d_same, subsample  # noqa: F401, part of the module's interface


class Block(collections.namedtuple('Block', ['scope', 'unit_fn', 'args'])):
    """A block of residual units.

    Made from all three attributes, or from `scope` and the keywords `base_depth`, `num_units` and `stride`, as
    `resnet_block` makes it; `unit_fn` is a bottleneck of v1 then, if it is not given. Called with a tensor, a block
    builds itself alone.

    Attributes:
      scope: The block's scope, a string.
      unit_fn: Function `(net, rate=…, **arguments)` that builds one unit and returns its output.
      args: One dict for each unit: the arguments of `unit_fn`. Their 'stride' (1 where there is none) counts towards
        the output stride.
    """

    __slots__ = ()

    def __new__(cls, scope, unit_fn=None, args=None, **keywords):
        if args is None and set(keywords) == {'base_depth', 'num_units', 'stride'}:
            return resnet_block(unit_fn or units.bottleneck, scope, **keywords)
        if args is None or keywords:
            given = dict(keywords, **{name: value for name, value in (('unit_fn', unit_fn), ('args', args))
                                      if value is not None})
            raise TypeError('Block({!r}, …) takes unit_fn and args; or, by keyword, base_depth, num_units and stride, '
                            'with unit_fn for units other than a bottleneck of v1; got {}.'.format(
                                scope, ', '.join(sorted(given)) or 'none of these'))
        if not callable(unit_fn):
            raise TypeError('unit_fn of Block({!r}, …) must be a function; got {!r}.'.format(scope, unit_fn))
        return super().__new__(cls, scope, unit_fn, args)

    def __call__(self, net, rate=1, output_stride=None, outputs_collections=None):
        """Builds this block under its scope, as `stack_blocks_dense` does with a list of blocks.

        Args:
          net: `[batch, height, width, channels]`.
          rate: Atrous rate of the units. One above 1 goes with `output_stride=1`.
          output_stride: Stride of the result against `net`; None for the nominal one.
          outputs_collections: Collection for the result.

        Returns:
          `[batch, ceil(height / output_stride), ceil(width / output_stride), channels of the last unit]`.

        Raises:
          ValueError: If the output stride cannot be reached, or a convolution would have a stride and a rate above 1.
        """
        return _stack(net, [self], output_stride, False, outputs_collections, rate)


def resnet_block(unit_fn, scope, base_depth, num_units, stride):
    """A block of units, the last of which has the stride.

    Args:
      unit_fn: Function that builds a unit, with the arguments of `units.bottleneck` or `units.basic`.
      scope: The block's scope.
      base_depth: Channels inside the units; as many come out of basic units, four times as many of others.
      num_units: Number of units, at least 1.
      stride: Stride of the block.

    Returns:
      A `Block`.

    Raises:
      ValueError: If `num_units` is less than 1.
    """
    if num_units < 1:
        raise ValueError('num_units of {!r} must be at least 1; got {!r}.'.format(scope, num_units))
    strides = [1] * (num_units - 1) + [stride]
    return Block(scope, unit_fn, [dict(units.depths(unit_fn, base_depth), stride=stride) for stride in strides])


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
    return _stack(net, blocks, output_stride, store_non_strided_activations, outputs_collections, rate=1)


def _stack(net, blocks, output_stride, store_non_strided_activations, outputs_collections, rate):
    """`stack_blocks_dense` from an atrous rate on."""
    output_stride = check_output_stride(output_stride, reachable_output_strides(blocks))
    current_stride = 1
    for block in blocks:
        with tf.variable_scope(block.scope, 'block', [net]) as sc:
            block_stride = 1
            for i, unit in enumerate(block.args):
                stride = unit.get('stride', 1)
                stays_dense = current_stride == output_stride
                is_stored = store_non_strided_activations and i == len(block.args) - 1
                if stays_dense or is_stored:
                    unit = _atrous(block.unit_fn, unit, stride)
                with tf.variable_scope('unit_{}'.format(i + 1), values=[net]):
                    net = block.unit_fn(net, rate=rate, **unit)
                if is_stored:
                    block_stride = stride
                elif stays_dense:
                    rate *= stride
                else:
                    current_stride *= stride
            net = slim.utils.collect_named_outputs(outputs_collections, sc.name, net)
            if current_stride == output_stride:
                rate *= block_stride
            else:
                net = subsample(net, block_stride)
                current_stride *= block_stride
    return net


def _atrous(unit_fn, unit, stride):
    """The arguments of a unit without its stride, of which units are told that may have it in their first layers."""
    told = {'atrous_stride': stride} if 'atrous_stride' in inspect.signature(unit_fn).parameters else {}
    return dict(unit, stride=1, **told)


def resnet_arg_scope(weight_decay=0.0001, batch_norm_decay=0.997, batch_norm_epsilon=1e-5, batch_norm_scale=True,
                     activation_fn=tf.nn.relu, use_batch_norm=True,
                     batch_norm_updates_collections=tf.GraphKeys.UPDATE_OPS, weights_initializer=None,
                     biases_initializer=None, conv_biases=False):
    """The defaults of the layers of a residual network, those that the published checkpoints were trained with.

    Args:
      weight_decay: Factor of the L2 loss of the convolutions' weights, half their sum of squares.
      batch_norm_decay: Decay of the moving averages of batch normalisation.
      batch_norm_epsilon: Added to variances against division by zero.
      batch_norm_scale: Whether batch normalisation multiplies by `gamma`.
      activation_fn: Activation of the convolutions.
      use_batch_norm: Whether convolutions have batch normalisation, in place of biases.
      batch_norm_updates_collections: Collection for the updates of the moving averages; None updates them in place.
      weights_initializer: Initializer of the convolutions' weights, one of `tf.compat.v1` or what `initializers.get`
        takes besides; None for He et al. 2015 (arXiv:1502.01852), section 2.2: a truncated normal distribution of
        variance 2 / fan-in.
      biases_initializer: Initializer of the biases, likewise; None for zeros.
      conv_biases: Whether convolutions have biases besides batch normalisation, as weights from Keras do.

    Returns:
      An arg scope, for `slim.arg_scope`.

    Raises:
      ValueError: If an initializer is unknown.
    """
    batch_norm_params = {
        'decay': batch_norm_decay,
        'epsilon': batch_norm_epsilon,
        'scale': batch_norm_scale,
        'updates_collections': batch_norm_updates_collections,
        'fused': None,
    }
    biases = {} if biases_initializer is None else {'biases_initializer': initializers.get(biases_initializer)}
    normalizer_fn = layers.biased_batch_norm if conv_biases else slim.batch_norm
    with slim.arg_scope(
            [slim.conv2d],
            weights_regularizer=slim.l2_regularizer(weight_decay),
            weights_initializer=layers.he_truncated_normal if weights_initializer is None
            else initializers.get(weights_initializer),
            activation_fn=activation_fn,
            normalizer_fn=normalizer_fn if use_batch_norm else None,
            normalizer_params=dict(batch_norm_params, **biases) if conv_biases else batch_norm_params,
            **biases), \
            slim.arg_scope([slim.batch_norm], **batch_norm_params), \
            slim.arg_scope([slim.max_pool2d], padding='SAME') as arg_scope:
        return arg_scope
