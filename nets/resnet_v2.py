"""ResNet v2: residual units that begin with batch normalisation and ReLU, so that identities pass from unit to unit.

Source: He et al., "Identity Mappings in Deep Residual Networks", 2016 (arXiv:1603.05027), figure 4e. The stride of a
block sits in the 3x3 convolution of its last unit. The published checkpoints want images preprocessed as for Inception
(in [-1, 1], 299 x 299 pixels) and have 1001 classes, the first of which is background.

    with slim.arg_scope(resnet_v2.resnet_arg_scope()):
        logits, end_points = resnet_v2.resnet_v2_50(images, num_classes=1001, is_training=False)
"""

import functools

from nets import resnet, resnet_network, resnet_utils
from nets.resnet_utils import resnet_arg_scope  # noqa: F401, part of the module's interface
from nets.units import bottleneck_v2 as bottleneck

_KIND = 'bottleneck_v2'


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
        inputs, blocks, 'resnet_v2', root=resnet_network.ROOTS['preactivated'] if include_root_block else None,
        finish=resnet.UNITS[_KIND].finish, num_classes=num_classes, is_training=is_training, global_pool=global_pool,
        output_stride=output_stride, spatial_squeeze=spatial_squeeze, store_non_strided_activations=False,
        reuse=reuse, scope=scope)


resnet_v2.default_image_size = 224


def resnet_v2_block(scope, base_depth, num_units, stride):
    """A `Block` of `bottleneck` units with the stride in the last one; see `resnet_utils.resnet_block`."""
    return resnet_utils.resnet_block(bottleneck, scope, base_depth, num_units, stride)


_network = functools.partial(resnet.network, module=__name__, order=(
    'num_classes', 'is_training', 'global_pool', 'output_stride', 'spatial_squeeze', 'reuse', 'scope'))
_LAYOUT = resnet.Layout(_KIND, root='preactivated')

resnet_v2_50 = _network('resnet_v2_50', _LAYOUT._replace(num_units=(3, 4, 6, 3)))
resnet_v2_101 = _network('resnet_v2_101', _LAYOUT._replace(num_units=(3, 4, 23, 3)))
resnet_v2_152 = _network('resnet_v2_152', _LAYOUT._replace(num_units=(3, 8, 36, 3)))
resnet_v2_200 = _network('resnet_v2_200', _LAYOUT._replace(num_units=(3, 24, 36, 3)))
