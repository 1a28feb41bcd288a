"""ResNet50V2, 101V2 and 152V2 of Keras Applications."""

import functools

from nets.applications import imagenet
from nets.applications.application import application
from nets.applications.imagenet import decode_predictions  # noqa: F401, part of the module's interface

_application = functools.partial(application, module=__name__)

ResNet50V2 = _application('ResNet50V2', 'resnet_keras_v2_50', imagenet.published(
    'resnet50v2', '3ef43a0b657b3be2300d5770ece849e0', 'fac2f116257151a9d068a22e544a4917'))
ResNet101V2 = _application('ResNet101V2', 'resnet_keras_v2_101', imagenet.published(
    'resnet101v2', '6343647c601c52e1368623803854d971', 'c0ed64b8031c3730f411d2eb4eea35b5'))
ResNet152V2 = _application('ResNet152V2', 'resnet_keras_v2_152', imagenet.published(
    'resnet152v2', 'a49b44d1979771252814e80f8ec446f9', 'ed17cf2e0169df9d443503ef94b23b33'))
preprocess_input = imagenet.preprocess_input_fn('tf', module=__name__)
