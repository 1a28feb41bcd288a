"""Models that several tests look at and none changes."""

import application_cases
import h5py
import keras_reference
import pytest
from application_cases import CLASSES, SMALL


@pytest.fixture(scope='module', autouse=True)
def _registered():
    with pytest.MonkeyPatch.context() as patch:
        application_cases.register(patch)
        yield


@pytest.fixture(scope='session')
def keras_file(tmp_path_factory):
    """Makes, once each, a network of Keras with random weights and a file of them as Keras published its own."""
    made = {}

    def make(name):
        if name not in made:
            model = keras_reference.eagerly(keras_reference.build, application_cases.keras_function(name), CLASSES,
                                            classifier_activation='softmax')
            path = tmp_path_factory.mktemp('keras') / (name + '.h5')
            with h5py.File(path, 'w') as file:
                keras_reference.write_legacy(file, keras_reference.arrays_of(model))
            made[name] = model, path
        return made[name]

    return make


@pytest.fixture(scope='module')
def loaded(keras_file):
    """A small network of ours with Keras' weights; the same network of Keras; its file."""
    theirs, path = keras_file('Small')
    with SMALL['Small'](weights=path, classes=CLASSES, input_shape=(64, 81, 3)) as model:
        yield model, theirs, path
