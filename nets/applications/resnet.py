"""ResNet50, 101 and 152 of Keras Applications."""

import functools

from nets.applications import imagenet
from nets.applications.application import application
from nets.applications.imagenet import decode_predictions  # noqa: F401, part of the module's interface

_application = functools.partial(application, module=__name__)

ResNet50 = _application('ResNet50', 'resnet_keras_50', imagenet.published(
    'resnet50', '2cb95161c43110f7111970584f804107', '4d473c1dd8becc155b73f8504c6f6626'))
ResNet101 = _application('ResNet101', 'resnet_keras_101', imagenet.published(
    'resnet101', 'f1aeb4b969a6efcfb50fad2f0c20cfc5', '88cf7a10940856eca736dc7b7e228a21'))
ResNet152 = _application('ResNet152', 'resnet_keras_152', imagenet.published(
    'resnet152', '100835be76be38e30d865e96f2aaae62', 'ee4c566cf9a93f14d82f913c2dc6dd0c'))
preprocess_input = imagenet.preprocess_input_fn('caffe', module=__name__)
