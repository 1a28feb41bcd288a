"""ResNets as DeepLab has them: with three 3x3 convolutions as the root, and with `multi_grid` rates in the last block.

Source: Chen et al., "Rethinking Atrous Convolution", 2017 (arXiv:1706.05587), section 3.3; the root from Zhao et al.,
"Pyramid Scene Parsing Network", 2017 (arXiv:1612.01105). The checkpoints' scopes have no "beta" in them. Here global
pooling and training mode default as in slim's networks, not as in DeepLab's (False and None).

    with slim.arg_scope(resnet_v1_beta.resnet_arg_scope()):
        features, end_points = resnet_v1_beta.resnet_v1_50_beta(
            images, is_training=False, global_pool=False, output_stride=16, multi_grid=[1, 2, 4])
"""

import functools

from nets import resnet
from nets.resnet_utils import resnet_arg_scope  # noqa: F401, part of the module's interface
from nets.resnet_v1 import resnet_v1_18, resnet_v1_50, resnet_v1_101

_network = functools.partial(resnet.network, module=__name__, order=(
    'num_classes', 'is_training', 'global_pool', 'output_stride', 'multi_grid', 'reuse', 'scope'))

resnet_v1_18_beta = _network('resnet_v1_18_beta', resnet_v1_18.layout._replace(root='beta', root_multiplier=0.25),
                             scope='resnet_v1_18')
resnet_v1_50_beta = _network('resnet_v1_50_beta', resnet_v1_50.layout._replace(root='beta'), scope='resnet_v1_50')
resnet_v1_101_beta = _network('resnet_v1_101_beta', resnet_v1_101.layout._replace(root='beta'), scope='resnet_v1_101')
