"""What the tests of the applications share: a small application, images, and how Keras is asked."""

import keras_reference
import numpy as np

from nets.applications import application

CLASSES = 11  # of the networks of Keras with random weights
LIMIT = 1e-5
SIZE = (32, 40)  # of the small application's images

_TINY = application.application('Tiny', 'resnet_v1_14', {}, __name__)


def tiny(**kwargs):
    """An application of a small network of ours; of logits, as a softmax would hide differences."""
    fixed = {'classes': 3, 'classifier_activation': None}
    if 'input_tensor' not in kwargs:
        fixed['input_shape'] = SIZE + (3,)
    return _TINY(**dict(fixed, **kwargs))


def images_of(number=3, size=(64, 81), seed=0):
    return np.random.default_rng(seed).normal(0, 1, (number,) + size + (3,)).astype(np.float32)


def predict(model, images):
    """What Keras predicts."""
    return keras_reference.eagerly(lambda: model.predict(images, verbose=0))


def output_of(model, layer, images):
    """What a layer of Keras puts out."""
    return keras_reference.eagerly(lambda: keras_reference.outputs(model, [layer])(images)[0])
