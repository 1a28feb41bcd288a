"""ResNet v2: residual units that begin with batch normalisation and ReLU, so that identities pass from unit to unit.

Source: He et al., "Identity Mappings in Deep Residual Networks", 2016 (arXiv:1603.05027), figure 4e. The stride of a
block sits in the 3x3 convolution of its last unit. The published checkpoints want images preprocessed as for Inception
(in [-1, 1], 299 x 299 pixels) and have 1001 classes, the first of which is background.

    with slim.arg_scope(resnet_v2.resnet_arg_scope()):
        logits, end_points = resnet_v2.resnet_v2_50(images, num_classes=1001, is_training=False)
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, resnet_network, resnet_utils
from nets.resnet_utils import resnet_arg_scope  # noqa: F401, part of the module's interface

# The first unit normalises and activates what comes from the root.
_ROOT = {'activation_fn': None, 'normalizer_fn': None}


@slim.add_arg_scope
def bottleneck(inputs, depth, depth_bottleneck, stride, rate=1, outputs_collections=None, scope=None):
    """A pre-activated unit of three convolutions around a shortcut.

    A projection shortcut takes the pre-activated inputs, an identity the inputs as they are. Neither the projection
    nor the last convolution has batch normalisation or activation.

    Args:
      inputs: `[batch, height, width, channels]`.
      depth: Channels of the result.
      depth_bottleneck: Channels of the first two convolutions.
      stride: Stride of the 3x3 convolution.
      rate: Atrous rate of the 3x3 convolution.
      outputs_collections: Collection for the result.
      scope: Scope of the unit.

    Returns:
      `[batch, ceil(height / stride), ceil(width / stride), depth]`.
    """
    with tf.variable_scope(scope, 'bottleneck_v2', [inputs]) as sc:
        preact = layers.batch_norm(inputs, activation_fn=tf.nn.relu, scope='preact')
        if depth == slim.utils.last_dimension(inputs.shape, min_rank=4):
            shortcut = resnet_utils.subsample(inputs, stride, 'shortcut')
        else:
            shortcut = layers.conv2d(preact, depth, [1, 1], stride=stride, normalizer_fn=None, activation_fn=None,
                                     scope='shortcut')
        residual = layers.conv2d(preact, depth_bottleneck, [1, 1], stride=1, scope='conv1')
        residual = resnet_utils.conv2d_same(residual, depth_bottleneck, 3, stride, rate=rate, scope='conv2')
        residual = layers.conv2d(residual, depth, [1, 1], stride=1, normalizer_fn=None, activation_fn=None,
                                 scope='conv3')
        return slim.utils.collect_named_outputs(outputs_collections, sc.name, shortcut + residual)


def _postnorm(net):
    """What the units of v2 leave to whoever reads their sum."""
    return layers.batch_norm(net, activation_fn=tf.nn.relu, scope='postnorm')


def resnet_v2(inputs, blocks, num_classes=None, is_training=True, global_pool=True, output_stride=None,
              include_root_block=True, spatial_squeeze=True, reuse=None, scope=None):
    """A ResNet v2 of any blocks.

    Args:
      inputs: Images, `[batch, height, width, channels]`; batch, height and width may be unknown.
      blocks: List of `resnet_utils.Block`s. The end points of the blocks are those before `postnorm`.
      num_classes: Number of logits; 0 or None for features instead.
      is_training: Bool or bool tensor: whether batch normalisation uses the statistics of the batch. None leaves that
        to the caller's arg scope.
      global_pool: Whether to average the features over height and width.
      output_stride: Height and width of the inputs over those of the features; None for the nominal one, 32 in the
        usual networks. What the network would stride further, it does by atrous convolution.
      include_root_block: Whether a 7x7 convolution (biases, no activation) and a max pool, of stride 2 each, come
        before the blocks.
      spatial_squeeze: Whether the logits lose height and width, which must be 1.
      reuse: Whether to use the variables of the scope again.
      scope: Scope of the network, a string or a variable scope.

    Returns:
      A pair: logits `[batch, num_classes]` (`[batch, height, width, num_classes]` unsqueezed), or features
      `[batch, height, width, channels]`; and an ordered dict of end points, from name to tensor.

    Raises:
      ValueError: If an argument cannot be, before anything is built; the message says what can.
    """
    return resnet_network.build(
        inputs, blocks, bottleneck, 'resnet_v2', root=_ROOT, finish=_postnorm, num_classes=num_classes,
        is_training=is_training, global_pool=global_pool, output_stride=output_stride,
        include_root_block=include_root_block, spatial_squeeze=spatial_squeeze,
        store_non_strided_activations=False, reuse=reuse, scope=scope)


resnet_v2.default_image_size = 224


def resnet_v2_block(scope, base_depth, num_units, stride):
    """A `Block` of `bottleneck` units with the stride in the last one; see `resnet_utils.resnet_block`."""
    return resnet_utils.resnet_block(bottleneck, scope, base_depth, num_units, stride)


def _network(name, num_units):
    """The network that is given by the number of units in each of its four blocks."""

    def network(inputs, num_classes=None, is_training=True, global_pool=True, output_stride=None,
                spatial_squeeze=True, reuse=None, scope=name):
        blocks = [resnet_v2_block(block_scope, depth, units, stride)
                  for (block_scope, depth, stride), units in zip(resnet_utils.BLOCKS, num_units)]
        return resnet_v2(inputs, blocks, num_classes, is_training, global_pool=global_pool,
                         output_stride=output_stride, include_root_block=True, spatial_squeeze=spatial_squeeze,
                         reuse=reuse, scope=scope)

    network.__doc__ = '{}: ResNet v2 with {} units in its blocks; the arguments are those of `resnet_v2`.'.format(
        name, ', '.join(map(str, num_units)))
    return resnet_utils.as_network(network, name, __name__)


resnet_v2_50 = _network('resnet_v2_50', (3, 4, 6, 3))
resnet_v2_101 = _network('resnet_v2_101', (3, 4, 23, 3))
resnet_v2_152 = _network('resnet_v2_152', (3, 8, 36, 3))
resnet_v2_200 = _network('resnet_v2_200', (3, 24, 36, 3))
