"""ResNet v1: residual units that end in a ReLU (He et al. 2015, arXiv:1512.03385, figure 5).

The stride of a block sits in the 3x3 convolution of its last unit, unlike the paper's, where it is in the first unit:
the features of a block then have the resolution that the next one reads.

    with slim.arg_scope(resnet_v1.resnet_arg_scope()):
        logits, end_points = resnet_v1.resnet_v1_50(images, num_classes=1000, is_training=False)
"""

import functools

from nets import resnet, resnet_network, resnet_utils
from nets.resnet_utils import resnet_arg_scope  # noqa: F401, part of the module's interface
from nets.units import basic as lite_bottleneck  # noqa: F401, likewise; DeepLab's name
from nets.units import bottleneck


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
        inputs, blocks, 'resnet_v1', root=resnet_network.ROOTS['slim'] if include_root_block else None, finish=None,
        num_classes=num_classes, is_training=is_training, global_pool=global_pool, output_stride=output_stride,
        spatial_squeeze=spatial_squeeze, store_non_strided_activations=store_non_strided_activations, reuse=reuse,
        scope=scope)


resnet_v1.default_image_size = 224


def resnet_v1_block(scope, base_depth, num_units, stride):
    """A `Block` of `bottleneck` units with the stride in the last one; see `resnet_utils.resnet_block`."""
    return resnet_utils.resnet_block(bottleneck, scope, base_depth, num_units, stride)


_network = functools.partial(resnet.network, module=__name__)
# Slim's two deepest networks have two of the arguments the other way round.
_deep_network = functools.partial(_network, order=(
    'num_classes', 'is_training', 'global_pool', 'output_stride', 'store_non_strided_activations', 'spatial_squeeze'))

# The rows of table 1 of the paper. `resnet_v1_14` is ours; DeepLab's 18 and 34 are in slim's style.
resnet_v1_14 = _network('resnet_v1_14', resnet.Layout(num_units=(1, 1, 1, 1)), default_image_size=32)
resnet_v1_18 = _network('resnet_v1_18', resnet.Layout('basic', (2, 2, 2, 2)))
resnet_v1_34 = _network('resnet_v1_34', resnet.Layout('basic', (3, 4, 6, 3)))
resnet_v1_50 = _network('resnet_v1_50', resnet.Layout(num_units=(3, 4, 6, 3)))
resnet_v1_101 = _network('resnet_v1_101', resnet.Layout(num_units=(3, 4, 23, 3)))
resnet_v1_152 = _deep_network('resnet_v1_152', resnet.Layout(num_units=(3, 8, 36, 3)))
resnet_v1_200 = _deep_network('resnet_v1_200', resnet.Layout(num_units=(3, 24, 36, 3)))
