"""ResNeXt50 of Keras Applications 1.0.8, which today's Keras has no more."""

from nets.applications import imagenet
from nets.applications.application import application
from nets.applications.imagenet import decode_predictions  # noqa: F401, part of the module's interface

ResNeXt50_32x4d = application('ResNeXt50_32x4d', 'resnext_keras_50_32x4d', imagenet.published(
    'resnext50', '67a5b30d522ed92f75a1f16eef299d1a', '62527c363bdd9ec598bed41947b379fc',
    'https://github.com/keras-team/keras-applications/releases/download/resnet/'), module=__name__)
preprocess_input = imagenet.preprocess_input_fn('torch', module=__name__)
