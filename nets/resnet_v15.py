"""ResNet v1.5: torchvision's ResNets, with the stride of a block in the 3x3 convolution of its first unit.

Source: Goyal et al., "Accurate, Large Minibatch SGD", 2017 (arXiv:1706.02677), section 5.1. Weights of slim's or Keras'
networks have the same shapes and do not fit: the stride is elsewhere, and the pool is padded otherwise.

    with slim.arg_scope(resnet_v15.resnet_arg_scope()):
        logits, end_points = resnet_v15.resnet_v15_50(images, num_classes=1000, is_training=False)
"""

import functools

from nets import resnet
from nets.resnet_utils import resnet_arg_scope  # noqa: F401, part of the module's interface

_network = functools.partial(resnet.network, module=__name__)
_BASIC = resnet.Layout('basic', strided_unit='first', strided_conv='conv1', root='padded')
LAYOUT = resnet.Layout('bottleneck', strided_unit='first', root='padded')

resnet_v15_18 = _network('resnet_v15_18', _BASIC._replace(num_units=(2, 2, 2, 2)))
resnet_v15_34 = _network('resnet_v15_34', _BASIC._replace(num_units=(3, 4, 6, 3)))
resnet_v15_50 = _network('resnet_v15_50', LAYOUT._replace(num_units=(3, 4, 6, 3)))
resnet_v15_101 = _network('resnet_v15_101', LAYOUT._replace(num_units=(3, 4, 23, 3)))
resnet_v15_152 = _network('resnet_v15_152', LAYOUT._replace(num_units=(3, 8, 36, 3)))
