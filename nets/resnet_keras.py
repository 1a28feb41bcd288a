"""The networks of Keras Applications, layer by layer, so that their weights fill them without change.

ResNet50, 101 and 152 have the stride in the first convolution of a block (He et al. 2015, section 3.3), biases in all
convolutions, and their own epsilon; V2 differs from slim's networks in the padding of the pool and in the epsilon;
ResNeXt50 from torchvision's in the epsilon. (TensorFlow's fused batch normalisation makes 1.001e-5 of every smaller
epsilon, so that the networks of slim and torchvision have it, too.) Each has an arg scope of its own:

    with slim.arg_scope(resnet_keras.resnet_keras_50.arg_scope()):
        logits, end_points = resnet_keras.resnet_keras_50(images, num_classes=1000, is_training=False)
"""

import functools

from nets import resnet, resnet_v2, resnext

_network = functools.partial(resnet.network, module=__name__)
_EPSILON = 1.001e-5
_V1 = resnet.Layout(strided_unit='first', strided_conv='conv1', root='padded', conv_biases=True,
                    batch_norm_epsilon=_EPSILON)
_V2 = resnet_v2.resnet_v2_50.layout._replace(root='preactivated_padded', batch_norm_epsilon=_EPSILON)

resnet_keras_50 = _network('resnet_keras_50', _V1._replace(num_units=(3, 4, 6, 3)))
resnet_keras_101 = _network('resnet_keras_101', _V1._replace(num_units=(3, 4, 23, 3)))
resnet_keras_152 = _network('resnet_keras_152', _V1._replace(num_units=(3, 8, 36, 3)))
resnet_keras_v2_50 = _network('resnet_keras_v2_50', _V2._replace(num_units=(3, 4, 6, 3)))
resnet_keras_v2_101 = _network('resnet_keras_v2_101', _V2._replace(num_units=(3, 4, 23, 3)))
resnet_keras_v2_152 = _network('resnet_keras_v2_152', _V2._replace(num_units=(3, 8, 36, 3)))
resnext_keras_50_32x4d = _network(
    'resnext_keras_50_32x4d', resnext.resnext_50_32x4d.layout._replace(batch_norm_epsilon=_EPSILON))
