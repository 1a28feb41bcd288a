"""Keras Applications' residual networks for people who do not want sessions: the same functions, arguments and numbers.

    from nets.applications import ResNet50
    from nets.applications.resnet import decode_predictions, preprocess_input

    with ResNet50(weights='imagenet') as model:
        print(decode_predictions(model.predict(preprocess_input(images))))

Weights are Keras' own: the published ones, files that Keras wrote, or checkpoints of ours. `resnet`, `resnet_v2` and
`resnext` have the `preprocess_input` that goes with the weights, as Keras' modules have.
"""

from nets.applications.resnet import ResNet50, ResNet101, ResNet152
from nets.applications.resnet_v2 import ResNet50V2, ResNet101V2, ResNet152V2
from nets.applications.resnext import ResNeXt50_32x4d

__all__ = ['ResNet50', 'ResNet50V2', 'ResNet101', 'ResNet101V2', 'ResNet152', 'ResNet152V2', 'ResNeXt50_32x4d']
