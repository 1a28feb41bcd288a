"""NVIDIA's networks for TensorFlow 1, layer by layer: ResNet-50 v1.5, ResNeXt-101 and SE-ResNeXt-101 of 32x4d.

Source: github.com/NVIDIA/DeepLearningExamples, TensorFlow/Classification/ConvNets, model/resnet.py and model/blocks. A
block has its stride in the 3x3 convolution of its first unit, as in torchvision, but root, strided convolutions and
pool have TensorFlow's `SAME` padding, at even sizes a pixel away from torchvision's and slim's.
`resnet_nvidia_50_2019` is what came before, in TensorFlow/Classification/RN50v1.5: convolutions padded alike on both
sides, and the pool `SAME`. The decay of batch normalisation is 0.9 there, an argument of the arg scope here:

    with slim.arg_scope(resnet_nvidia.resnet_arg_scope(batch_norm_decay=0.9)):
        logits, end_points = resnet_nvidia.resnet_nvidia_50(images, num_classes=1001, is_training=False)

They have 1001 logits for the 1000 classes, numbered from 0 without a background class: the last is never trained. At a
smaller output stride `SAME` padding moves features by up to a pixel for each stride that saw an even size.
"""

import functools

from nets import resnet
from nets.resnet_utils import resnet_arg_scope  # noqa: F401, part of the module's interface

_network = functools.partial(resnet.network, module=__name__)
_LAYOUT = resnet.Layout('bottleneck', strided_unit='first', padding='SAME', root='same')
_101_32X4D = _LAYOUT._replace(num_units=(3, 4, 23, 3), cardinality=32, group_width=4)

resnet_nvidia_50 = _network('resnet_nvidia_50', _LAYOUT._replace(num_units=(3, 4, 6, 3)))
resnet_nvidia_50_2019 = _network('resnet_nvidia_50_2019', resnet.Layout(strided_unit='first', num_units=(3, 4, 6, 3)))
resnext_nvidia_101_32x4d = _network('resnext_nvidia_101_32x4d', _101_32X4D)
se_resnext_nvidia_101_32x4d = _network('se_resnext_nvidia_101_32x4d', _101_32X4D._replace(se_ratio=1 / 16))
