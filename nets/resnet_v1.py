"""ResNet v1: residual units that end in a ReLU (He et al. 2015, arXiv:1512.03385, figure 5, right).

The stride of a block sits in the 3x3 convolution of its last unit, unlike the paper's, where it is in the first unit:
the features of a block then have the resolution that the next one reads.

    with slim.arg_scope(resnet_v1.resnet_arg_scope()):
        logits, end_points = resnet_v1.resnet_v1_50(images, num_classes=1000, is_training=False)
"""

import functools

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, resnet_network, resnet_utils
from nets.resnet_utils import resnet_arg_scope  # noqa: F401, part of the module's interface


@slim.add_arg_scope
def bottleneck(inputs, depth, depth_bottleneck, stride, rate=1, outputs_collections=None, scope=None,
               use_bounded_activations=False):
    """A unit of three convolutions around a shortcut.

    The shortcut is a subsampling of the inputs where their depth is that of the result, and else a projection.

    Args:
      inputs: `[batch, height, width, channels]`.
      depth: Channels of the result.
      depth_bottleneck: Channels of the first two convolutions.
      stride: Stride of the 3x3 convolution.
      rate: Atrous rate of the 3x3 convolution.
      outputs_collections: Collection for the result.
      scope: Scope of the unit.
      use_bounded_activations: Whether to keep activations within [-6, 6], which suits quantised inference.

    Returns:
      `[batch, ceil(height / stride), ceil(width / stride), depth]`.
    """
    with tf.variable_scope(scope, 'bottleneck_v1', [inputs]) as sc:
        if depth == slim.utils.last_dimension(inputs.shape, min_rank=4):
            shortcut = resnet_utils.subsample(inputs, stride, 'shortcut')
        else:
            shortcut = layers.conv2d(inputs, depth, [1, 1], stride=stride, scope='shortcut',
                                     activation_fn=tf.nn.relu6 if use_bounded_activations else None)
        residual = layers.conv2d(inputs, depth_bottleneck, [1, 1], stride=1, scope='conv1')
        residual = resnet_utils.conv2d_same(residual, depth_bottleneck, 3, stride, rate=rate, scope='conv2')
        residual = layers.conv2d(residual, depth, [1, 1], stride=1, activation_fn=None, scope='conv3')
        if use_bounded_activations:
            net = tf.nn.relu6(shortcut + tf.clip_by_value(residual, -6.0, 6.0))
        else:
            net = tf.nn.relu(shortcut + residual)
        return slim.utils.collect_named_outputs(outputs_collections, sc.name, net)


def resnet_v1(inputs, blocks, num_classes=None, is_training=True, global_pool=True, output_stride=None,
              include_root_block=True, spatial_squeeze=True, store_non_strided_activations=False, reuse=None,
              scope=None):
    """A ResNet v1 of any blocks.

    Args:
      inputs: Images, `[batch, height, width, channels]`; batch, height and width may be unknown. For an output stride
        that makes features meet pixels (dense prediction), height and width of a multiple of 32 plus 1 are best.
      blocks: List of `resnet_utils.Block`s.
      num_classes: Number of logits; 0 or None for features instead.
      is_training: Bool or bool tensor: whether batch normalisation uses the statistics of the batch. None leaves that
        to the caller's arg scope.
      global_pool: Whether to average the features over height and width.
      output_stride: Height and width of the inputs over those of the features; None for the nominal one, 32 in the
        usual networks. What the network would stride further, it does by atrous convolution.
      include_root_block: Whether a 7x7 convolution and a max pool, of stride 2 each, come before the blocks.
      spatial_squeeze: Whether the logits lose height and width, which must be 1.
      store_non_strided_activations: Whether the blocks' end points are those before the stride of the last unit.
      reuse: Whether to use the variables of the scope again.
      scope: Scope of the network, a string or a variable scope.

    Returns:
      A pair: logits `[batch, num_classes]` (`[batch, height, width, num_classes]` unsqueezed), or features
      `[batch, height, width, channels]`; and an ordered dict of end points, from name to tensor.

    Raises:
      ValueError: If an argument cannot be, before anything is built; the message says what can.
    """
    return resnet_network.build(
        inputs, blocks, bottleneck, 'resnet_v1', root={}, finish=lambda net: net, num_classes=num_classes,
        is_training=is_training, global_pool=global_pool, output_stride=output_stride,
        include_root_block=include_root_block, spatial_squeeze=spatial_squeeze,
        store_non_strided_activations=store_non_strided_activations, reuse=reuse, scope=scope)


resnet_v1.default_image_size = 224


def resnet_v1_block(scope, base_depth, num_units, stride):
    """A `Block` of `bottleneck` units with the stride in the last one; see `resnet_utils.resnet_block`."""
    return resnet_utils.resnet_block(bottleneck, scope, base_depth, num_units, stride)


def _network(name, num_units, default_image_size=224):
    """The network of a row of table 1 of the paper, given by the number of units in each of its four blocks."""

    def network(inputs, num_classes=None, is_training=True, global_pool=True, output_stride=None,
                spatial_squeeze=True, store_non_strided_activations=False, min_base_depth=8, depth_multiplier=1,
                reuse=None, scope=name):
        blocks = [resnet_v1_block(block_scope, max(int(depth * depth_multiplier), min_base_depth), units, stride)
                  for (block_scope, depth, stride), units in zip(resnet_utils.BLOCKS, num_units)]
        return resnet_v1(inputs, blocks, num_classes, is_training, global_pool=global_pool,
                         output_stride=output_stride, include_root_block=True, spatial_squeeze=spatial_squeeze,
                         store_non_strided_activations=store_non_strided_activations, reuse=reuse, scope=scope)

    network.__doc__ = '''{}: ResNet v1 with {} units in its blocks.

    Its own arguments are `depth_multiplier`, a factor of the units' depths (not of the root convolution's), and
    `min_base_depth`, the least depth that it may lead to. All others are those of `resnet_v1`.
    '''.format(name, ', '.join(map(str, num_units)))
    return resnet_utils.as_network(network, name, __name__, default_image_size)


def _swapped(network):
    """The same network with slim's other positional order of two arguments, which its two deepest networks have."""

    @functools.wraps(network)
    def swapped(inputs, num_classes=None, is_training=True, global_pool=True, output_stride=None,
                store_non_strided_activations=False, spatial_squeeze=True, min_base_depth=8, depth_multiplier=1,
                reuse=None, scope=network.__name__):
        return network(inputs, num_classes, is_training, global_pool, output_stride, spatial_squeeze,
                       store_non_strided_activations, min_base_depth, depth_multiplier, reuse, scope)

    del swapped.__wrapped__  # its signature is the one above
    return swapped


resnet_v1_14 = _network('resnet_v1_14', (1, 1, 1, 1), default_image_size=32)
resnet_v1_50 = _network('resnet_v1_50', (3, 4, 6, 3))
resnet_v1_101 = _network('resnet_v1_101', (3, 4, 23, 3))
resnet_v1_152 = _swapped(_network('resnet_v1_152', (3, 8, 36, 3)))
resnet_v1_200 = _swapped(_network('resnet_v1_200', (3, 24, 36, 3)))
