"""Files of weights that Keras itself wrote are read as Keras has them; damaged ones are named."""

import os
import warnings

import h5py
import keras
import keras_reference
import numpy as np
import pytest

from nets.checkpoints import keras_h5


def small_model():
    """A model with the layers that matter, and random weights."""
    images = keras.Input([8, 8, 3])
    net = keras.layers.Conv2D(4, 3, name='conv1_conv')(images)
    net = keras.layers.BatchNormalization(name='conv1_bn')(net)
    net = keras.layers.Conv2D(5, 1, use_bias=False, name='conv2_block1_1_conv')(net)
    net = keras.layers.BatchNormalization(name='conv2_block1_1_bn')(net)
    net = keras.layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False, name='conv2_block1_2_conv')(net)
    net = keras.layers.GlobalAveragePooling2D(name='pool')(net)
    model = keras.Model(images, keras.layers.Dense(6, name='predictions')(net))
    return keras_reference.randomized(model, seed=3)


def save_as(model, path):
    """Saves in the way that the ending says; Keras' own warnings are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        keras_reference.eagerly(model.save if path.name.endswith(('whole.h5', '.keras')) else model.save_weights, path)


@pytest.fixture(scope='module')
def model():
    return keras_reference.eagerly(small_model)


def assert_equal(actual, expected):
    assert set(actual) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array, strict=True)


@pytest.mark.parametrize('name', ['plain.h5', 'whole.h5', 'numbered.weights.h5', 'archive.keras'])
def test_every_kind_of_file_that_keras_writes_is_read(model, tmp_path, name):
    path = tmp_path / name
    if name == 'plain.h5':
        with h5py.File(path, 'w') as file:
            keras_reference.write_legacy(file, keras_reference.arrays_of(model))
    else:
        save_as(model, path)
    assert keras_h5.is_keras_file(path)
    assert_equal(keras_h5.read(path), keras_reference.arrays_of(model))


@pytest.mark.parametrize('name', ['whole.h5', 'numbered.weights.h5'])
def test_layers_of_a_model_within_a_model_are_as_others(model, tmp_path, name):
    def wrap():
        images = keras.Input([8, 8, 3])
        return keras_reference.randomized(
            keras.Model(images, keras.layers.Dense(2, name='head')(model(images))), seed=4)

    whole = keras_reference.eagerly(wrap)
    save_as(whole, tmp_path / name)
    inner = {key: value for key, value in keras_h5.read(tmp_path / name).items() if not key.startswith('head/')}
    assert_equal(inner, keras_reference.arrays_of(model))


def test_the_names_of_older_files_are_read(tmp_path):
    """Keras 2 adds :0 and numbers repeated scopes; Keras 1 has the layer's name before a capital."""
    one, two, three = (np.full([2], i, np.float32) for i in (1, 2, 3))
    with h5py.File(tmp_path / 'old.h5', 'w') as file:
        file['conv1_conv/conv1_conv_3/kernel:0'], file['conv1_conv/conv1_conv_3/bias:0'] = one, two
        file['conv1/conv1_W:0'], file['bn_conv1/bn_conv1_running_std:0'] = two, three
    assert_equal(keras_h5.read(tmp_path / 'old.h5'), {
        'conv1_conv/kernel': one, 'conv1_conv/bias': two, 'conv1/W': two, 'bn_conv1/running_std': three})


def test_a_keras_file_is_known_by_its_start_too(model, tmp_path):
    save_as(model, tmp_path / 'whole.h5')
    os.rename(tmp_path / 'whole.h5', tmp_path / 'weights')
    assert keras_h5.is_keras_file(tmp_path / 'weights')
    (tmp_path / 'model.ckpt').write_bytes(b'something else')
    for path in (tmp_path / 'model.ckpt', tmp_path / 'nothing', tmp_path):
        assert not keras_h5.is_keras_file(path)


@pytest.mark.parametrize('content', [b'', b'text', b'\x89HDF\r\n\x1a\n', b'PK\x03\x04 no zip'])
def test_a_file_of_another_kind_is_named(tmp_path, content):
    path = tmp_path / 'broken.h5'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='broken.h5 cannot be read; it is damaged, incomplete, or no file of weights'):
        keras_h5.read(path)


def test_files_without_weights_or_without_being_are_named(tmp_path):
    with pytest.raises(ValueError, match='There is no file .*nothing.h5'):
        keras_h5.read(tmp_path / 'nothing.h5')
    os.mkdir(tmp_path / 'folder.h5')
    with pytest.raises(ValueError, match='folder.h5 cannot be read'):
        keras_h5.read(tmp_path / 'folder.h5')
    with h5py.File(tmp_path / 'empty.h5', 'w') as file:
        file['data'] = np.ones(3)
    with pytest.raises(ValueError, match='empty.h5 cannot be read.*it holds no layer with weights'):
        keras_h5.read(tmp_path / 'empty.h5')


def test_nameless_layers_and_doubled_names_are_told(tmp_path):
    path = tmp_path / 'early.weights.h5'
    with h5py.File(path, 'w') as file:
        file['layers/conv2d/vars/0'] = np.ones(3)
    with pytest.raises(ValueError, match='does not say the name of its layer'):
        keras_h5.read(path)
    with h5py.File(path, 'a') as file:
        file['layers/conv2d_1/vars/0'] = np.ones(3)
        for layer in ('conv2d', 'conv2d_1'):
            file['layers'][layer]['vars'].attrs['name'] = 'conv1_conv'
    with pytest.raises(ValueError, match='two weights of the name conv1_conv/kernel'):
        keras_h5.read(path)


@pytest.mark.parametrize('name', ['whole.h5', 'numbered.weights.h5', 'archive.keras'])
def test_truncated_files_are_value_errors_that_name_them(model, tmp_path, name):
    save_as(model, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    path = tmp_path / ('cut-' + name)
    for size in range(0, len(whole) - 1, len(whole) // 40):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match='cut-.* cannot be read'):
            keras_h5.read(path)


@pytest.mark.parametrize('name', ['whole.h5', 'archive.keras'])
def test_flipped_bits_are_value_errors_or_change_numbers_only(model, tmp_path, name):
    save_as(model, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / ('flipped-' + name)
    errors = []
    for _ in range(200):
        broken = bytearray(whole)
        for place in rng.integers(len(whole), size=8):
            broken[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(broken)
        try:
            assert all(isinstance(array, np.ndarray) for array in keras_h5.read(path).values())
        except ValueError as error:
            errors.append(str(error))
    assert len(errors) > 20
    assert all('flipped-' in error for error in errors)
