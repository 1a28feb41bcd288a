"""Models that several tests look at and none changes."""

import h5py
import keras
import keras_reference
import pytest
from application_cases import CLASSES

from nets import applications


@pytest.fixture(scope='session')
def keras_file(tmp_path_factory):
    """Makes, once each, a network of Keras with random weights and a file of them as Keras published its own."""
    made = {}

    def make(name):
        if name not in made:
            function = getattr(keras.applications, name, keras_reference.resnext_50)
            model = keras_reference.eagerly(keras_reference.build, function, CLASSES, classifier_activation='softmax')
            path = tmp_path_factory.mktemp('keras') / (name + '.h5')
            with h5py.File(path, 'w') as file:
                keras_reference.write_legacy(file, keras_reference.arrays_of(model))
            made[name] = model, path
        return made[name]

    return make


@pytest.fixture(scope='session')
def loaded(keras_file):
    """A ResNet50 of ours with Keras' weights, for images of any size; the same network of Keras; its file."""
    theirs, path = keras_file('ResNet50')
    with applications.ResNet50(weights=path, classes=CLASSES, input_shape=(64, 81, 3)) as model:
        yield model, theirs, path
