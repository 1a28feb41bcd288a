"""ResNets for images of 32 x 32 pixels and less.

`resnet_cifar_*` are those of He et al. 2015 (arXiv:1512.03385), section 4.2: 6n + 2 layers in three blocks of n basic
units, whose shortcuts have no weights. The paper does not say where the zeros of its widening shortcuts go; half of
them come before the channels, as in TensorFlow's own CIFAR-10 example. `resnet_small_*` are the usual basic networks of
four blocks behind a 3x3 convolution without stride or pool.
"""

import functools

from nets import resnet
from nets.resnet_utils import resnet_arg_scope  # noqa: F401, part of the module's interface

_network = functools.partial(resnet.network, module=__name__, default_image_size=32)
_SMALL = resnet.Layout('basic', strided_unit='first', strided_conv='conv1', root='small')
_CIFAR = _SMALL._replace(depths=(16, 32, 64), shortcut='zero_pad')

resnet_cifar_20 = _network('resnet_cifar_20', _CIFAR._replace(num_units=(3, 3, 3)))
resnet_cifar_32 = _network('resnet_cifar_32', _CIFAR._replace(num_units=(5, 5, 5)))
resnet_cifar_44 = _network('resnet_cifar_44', _CIFAR._replace(num_units=(7, 7, 7)))
resnet_cifar_56 = _network('resnet_cifar_56', _CIFAR._replace(num_units=(9, 9, 9)))
resnet_cifar_110 = _network('resnet_cifar_110', _CIFAR._replace(num_units=(18, 18, 18)))
resnet_small_18 = _network('resnet_small_18', _SMALL._replace(num_units=(2, 2, 2, 2)))
resnet_small_34 = _network('resnet_small_34', _SMALL._replace(num_units=(3, 4, 6, 3)))
