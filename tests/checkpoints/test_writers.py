"""What the writers write is read by those whose formats they are: TensorFlow, Keras, safetensors."""

import os
import re

import keras
import keras_reference
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.checkpoints import whole_files
from nets.checkpoints.writers import checkpoint, keras_file, safetensors_file


def some_arrays(seed=0):
    rng = np.random.default_rng(seed)
    return {'b/weights': rng.normal(0, 1, (3, 3, 2, 5)).astype(np.float32), 'a': np.float32(rng.normal(0, 1, 7)),
            'scalar': np.float32(3), 'empty': np.zeros([0, 3], np.float32), 'long': np.arange(4)}


def assert_equal(actual, expected):
    assert sorted(actual) == sorted(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array, strict=True)


def test_a_checkpoint_is_read_by_a_saver(tmp_path):
    arrays = some_arrays()
    prefix = str(tmp_path / 'model.ckpt')
    files = checkpoint.write(prefix, arrays, step=17)
    assert sorted(os.listdir(tmp_path)) == sorted(os.path.basename(file) for file in files)
    variables = {name: tf.get_variable(name.replace('/', '_'), initializer=np.zeros_like(array), use_resource=True)
                 for name, array in dict(arrays, global_step=np.int64(0)).items()}
    with tf.Session() as session:
        tf.train.Saver(variables).restore(session, prefix)
        assert_equal(session.run(variables), dict(arrays, global_step=np.int64(17)))


def test_a_step_among_the_arrays_stays(tmp_path):
    checkpoint.write(str(tmp_path / 'a'), {'global_step': np.int64(5)})
    assert tf.train.load_variable(str(tmp_path / 'a'), 'global_step') == 5


def test_a_checkpoint_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match='file/model.ckpt cannot be written'):
        checkpoint.write(str(tmp_path / 'file' / 'model.ckpt'), some_arrays())


def test_safetensors_are_read_by_their_package(tmp_path):
    numpy = pytest.importorskip('safetensors.numpy')
    arrays = dict(some_arrays(), half=np.arange(3, dtype=np.float16), swapped=np.arange(3.0).astype('>f4'))
    path = str(tmp_path / 'a.safetensors')
    safetensors_file.write(path, arrays, {'format': 'pt'})
    assert_equal(numpy.load_file(path), dict(arrays, swapped=np.arange(3, dtype=np.float32)))
    with pytest.importorskip('safetensors').safe_open(path, 'numpy') as file:
        assert file.metadata() == {'format': 'pt'}
    with open(path, 'rb') as file:
        assert (8 + int.from_bytes(file.read(8), 'little')) % 8 == 0


def test_types_that_safetensors_lack_are_named(tmp_path):
    with pytest.raises(ValueError, match=r'be of float64, float32.* got z \(complex64\)'):
        safetensors_file.write(str(tmp_path / 'a'), {'z': np.zeros(2, np.complex64)})
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize('name', ['ResNet50', 'ResNet50V2'])
def test_keras_loads_what_was_written(name, tmp_path):
    """Every array gets back to the layer of its name, in a model that has other weights."""
    function = getattr(keras.applications, name)

    def arrays_after_loading():
        path = str(tmp_path / 'a.weights.h5')
        expected = keras_reference.arrays_of(keras_reference.build(function, classes=11))
        keras_file.write(path, dict(reversed(expected.items())))
        model = function(weights=None, classes=11)
        model.load_weights(path)
        return keras_reference.arrays_of(model), expected

    assert_equal(*keras_reference.eagerly(arrays_after_loading))


@pytest.mark.parametrize(('name', 'message'), [
    ('conv2_block1_4_conv/kernel', "no layer 'conv2_block1_4_conv'"), ('fc1000/kernel', "no layer 'fc1000'"),
    ('conv1_conv/gamma', 'has the weights kernel, bias; got gamma')])
def test_layers_that_keras_lacks_are_named(name, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)):
        keras_file.write(str(tmp_path / 'a.weights.h5'), {name: np.zeros(3)})


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / 'file').write_text('x')
    place = str(tmp_path / 'file' / 'model.ckpt')
    with pytest.raises(ValueError, match=f'^{place} cannot be written to: '), whole_files.aside(place):
        raise AssertionError
