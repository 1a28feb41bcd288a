"""ResNeXt, SE-ResNeXt and wide ResNet: the layout of torchvision's ResNets with other widths in the units.

Sources: Xie et al., "Aggregated Residual Transformations", 2017 (arXiv:1611.05431), table 1 (32x4d: 32 groups
of 4 channels); Hu et al., "Squeeze-and-Excitation Networks", 2018 (arXiv:1709.01507), table 1 and section 3; Zagoruyko
and Komodakis, "Wide Residual Networks", 2016 (arXiv:1605.07146). The SE networks are timm's, whose pool is padded as
torchvision's, not as that of the authors' Caffe models.
"""

import functools

from nets import resnet
from nets.resnet_utils import resnet_arg_scope  # noqa: F401, part of the module's interface
from nets.resnet_v15 import LAYOUT

_network = functools.partial(resnet.network, module=__name__)
_50 = LAYOUT._replace(num_units=(3, 4, 6, 3))
_101 = LAYOUT._replace(num_units=(3, 4, 23, 3))

resnext_50_32x4d = _network('resnext_50_32x4d', _50._replace(cardinality=32, group_width=4))
resnext_101_32x4d = _network('resnext_101_32x4d', _101._replace(cardinality=32, group_width=4))
resnext_101_32x8d = _network('resnext_101_32x8d', _101._replace(cardinality=32, group_width=8))
resnext_101_64x4d = _network('resnext_101_64x4d', _101._replace(cardinality=64, group_width=4))
se_resnext_50_32x4d = _network('se_resnext_50_32x4d', resnext_50_32x4d.layout._replace(se_ratio=1 / 16))
se_resnext_101_32x4d = _network('se_resnext_101_32x4d', resnext_101_32x4d.layout._replace(se_ratio=1 / 16))
wide_resnet_50_2 = _network('wide_resnet_50_2', _50._replace(group_width=128))
wide_resnet_101_2 = _network('wide_resnet_101_2', _101._replace(group_width=128))
