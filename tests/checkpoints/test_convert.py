"""Weights get from one side to the other without a bit changed, and nothing is written that does not fit."""

import json
import os
import shutil

import narrow
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets import nets_factory
from nets.checkpoints import convert as converting
from nets.checkpoints import origins, preset_file
from nets.checkpoints.convert import convert
from nets.checkpoints.writers import checkpoint, keras_file, safetensors_file

GOLDENS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'goldens', 'checkpoints')
ENDINGS = {'keras': 'weights.h5', 'torch': 'safetensors'}


@pytest.fixture(autouse=True)
def _networks(monkeypatch):
    narrow.register(monkeypatch)


def needs(package):
    pytest.importorskip(package, reason=f'{package} is not installed (an extra)')


@pytest.mark.parametrize('num_classes', [5, 0])
@pytest.mark.parametrize('network', narrow.ROWS)
def test_to_the_origin_and_back_is_bit_exact(network, num_classes, tmp_path):
    origin = origins.origin_of(network)
    if origin.name == 'torch':
        needs('safetensors')
    variables = narrow.write_checkpoint(tmp_path / 'a', network, num_classes=num_classes)
    middle, back = str(tmp_path / f'b.{ENDINGS[origin.name]}'), str(tmp_path / 'c')
    assert convert(tmp_path / 'a', middle, network)['num_classes'] == num_classes
    result = convert(middle, back, network)
    assert (result['num_variables'], result['converted']) == (len(variables), [])
    narrow.assert_equal(narrow.read_checkpoint(back), variables)
    assert tf.train.load_variable(back, 'global_step').dtype == np.int64
    assert not [name for name in os.listdir(tmp_path) if name.startswith('.')]


def test_every_network_of_an_origin_is_known_and_no_other():
    known = {name: origins.origin_of(name) for name in nets_factory.NETWORKS if 'narrow' not in name}
    folded = {name for name, origin in known.items() if origin and origin.folds}
    assert folded == {'resnet_v1_' + depth for depth in ('14', '50', '101', '152', '200')}
    for name, origin in known.items():
        torch = nets_factory.NETWORKS[name].preset.preprocessing == 'torchvision'
        expected = ('nvidia_2019' if name.endswith('_2019') else 'nvidia' if 'nvidia' in name else
                    'keras' if 'keras' in name or name in folded else 'torch' if torch else None)
        assert (origin and origin.name) == expected, name


@pytest.mark.parametrize('name', ['tiny_v1', 'tiny_v2'])
def test_an_old_checkpoint_becomes_a_new_one_bit_by_bit(name, tmp_path):
    source = os.path.join(GOLDENS, name + '_old', 'model.ckpt-5')
    result = convert(source, tmp_path / 'new.ckpt', verify=True)
    assert (result['source_format'], result['preset']) == ('tensorflow V1', None)
    files = sorted(os.listdir(tmp_path))
    assert files == ['new.ckpt.data-00000-of-00001', 'new.ckpt.index']
    old, new, golden = (tf.train.NewCheckpointReader(str(path)) for path in (
        source, tmp_path / 'new.ckpt', os.path.join(GOLDENS, name, 'model.ckpt-5')))
    assert new.get_variable_to_shape_map() == golden.get_variable_to_shape_map()
    assert new.get_variable_to_dtype_map() == golden.get_variable_to_dtype_map()
    for tensor in new.get_variable_to_shape_map():
        assert new.get_tensor(tensor).tobytes() == old.get_tensor(tensor).tobytes()
        assert new.get_tensor(tensor).tobytes() == golden.get_tensor(tensor).tobytes()
    assert result['verification'] == {'equal': len(golden.get_variable_to_shape_map())}


def test_a_copy_is_compared_with_the_network_if_that_is_named(tmp_path):
    source = os.path.join(GOLDENS, 'tiny_v1', 'model.ckpt-5')
    with pytest.raises(ValueError, match='does not fit the model'):
        convert(source, tmp_path / 'new.ckpt', 'v1_narrow')
    narrow.write_checkpoint(tmp_path / 'a', 'v1_narrow')
    assert convert(tmp_path / 'a', tmp_path / 'b', 'v1_narrow')['preset'] == str(tmp_path / 'b.preset.json')


def test_averages_of_a_checkpoint_are_taken_instead_of_the_weights(tmp_path):
    weights, averages = (narrow.random_variables('v15_narrow', seed=seed) for seed in (0, 1))
    both = dict(weights, **{name + '/ExponentialMovingAverage': array for name, array in averages.items()})
    checkpoint.write(str(tmp_path / 'a'), both)
    convert(tmp_path / 'a', tmp_path / 'b', 'v15_narrow', moving_averages=True)
    narrow.assert_equal(narrow.read_checkpoint(tmp_path / 'b'), averages)


def test_averages_of_a_file_of_torch_are_taken_if_asked_for(tmp_path):
    needs('torch')
    import torch
    states = [{'module.' + name: torch.from_numpy(array) for name, array in narrow.origin_arrays(
        'v15_narrow', narrow.random_variables('v15_narrow', seed=seed)).items()} for seed in (0, 1)]
    torch.save({'state_dict': states[0], 'state_dict_ema': states[1], 'epoch': 3}, tmp_path / 'a.pth')
    for ema in (False, True):
        prefix = tmp_path / f'b{ema}'
        convert(tmp_path / 'a.pth', prefix, 'v15_narrow', ema=ema)
        narrow.assert_equal(narrow.read_checkpoint(prefix), narrow.random_variables('v15_narrow', seed=int(ema)))


def test_other_floats_become_float32_and_are_told(tmp_path):
    needs('safetensors')
    variables = narrow.random_variables('v15_narrow')
    arrays = narrow.origin_arrays('v15_narrow', variables)
    arrays['fc.bias'] = arrays['fc.bias'].astype(np.float16)
    safetensors_file.write(tmp_path / 'a.safetensors', arrays)
    assert convert(tmp_path / 'a.safetensors', tmp_path / 'b', 'v15_narrow')['converted'] == ['fc.bias']
    bias = narrow.read_checkpoint(tmp_path / 'b')['v15_narrow/logits/biases']
    np.testing.assert_array_equal(bias, arrays['fc.bias'].astype(np.float32), strict=True)


def broken_torch(tmp_path):
    """A file in which one weight is missing, one too many, one misshaped, and one of integers."""
    arrays = narrow.origin_arrays('v15_narrow', narrow.random_variables('v15_narrow'))
    del arrays['layer1.0.bn1.bias']
    arrays['layer9.0.conv1.weight'] = np.zeros([1, 1, 1, 1], np.float32)
    arrays['layer2.1.conv1.weight'] = np.zeros([3, 2, 1, 1], np.float32)
    arrays['bn1.weight'] = np.zeros(8, np.int64)
    safetensors_file.write(tmp_path / 'a.safetensors', arrays)
    return tmp_path / 'a.safetensors'


def test_one_error_lists_everything_and_nothing_is_written(tmp_path):
    needs('safetensors')
    source = broken_torch(tmp_path)
    with pytest.raises(ValueError, match='v15_narrow: 1 missing, 1 unexpected, 2 of another shape or type') as error:
        convert(source, tmp_path / 'b', 'v15_narrow')
    for text in ('block1/unit_1/bottleneck_v1/conv1/BatchNorm/beta (layer1.0.bn1.bias)', 'layer9.0.conv1.weight',
                 'bn1.weight: int64', '[1, 1, 2, 3] in the file, [1, 1, 64, 16] in the network'):
        assert text in str(error.value)
    assert os.listdir(tmp_path) == ['a.safetensors']


def test_one_error_lists_everything_of_a_file_of_keras(tmp_path):
    arrays = narrow.origin_arrays('keras_narrow', narrow.random_variables('keras_narrow'))
    del arrays['conv1_conv/bias']
    arrays['conv4_block9_1_conv/kernel'] = np.zeros([1, 1, 8, 8], np.float32)
    arrays['predictions/kernel'] = arrays['predictions/kernel'][:6]
    keras_file.write(tmp_path / 'a.weights.h5', arrays)
    for network in ('keras_narrow', 'v1_narrow'):
        with pytest.raises(ValueError, match='1 missing, 1 unexpected, 1 of another shape') as error:
            convert(tmp_path / 'a.weights.h5', tmp_path / 'b', network)
        for text in ('conv1/biases (conv1_conv/bias)', 'conv4_block9_1_conv/kernel', '[1, 1, 6, 5] in the file'):
            assert text in str(error.value)
    assert os.listdir(tmp_path) == ['a.weights.h5']


def test_biases_go_into_the_moving_means(tmp_path):
    keras = narrow.random_variables('keras_narrow')
    keras_file.write(tmp_path / 'a.weights.h5', narrow.origin_arrays('keras_narrow', keras))
    result = convert(tmp_path / 'a.weights.h5', tmp_path / 'b', 'v1_narrow')
    assert any('1.001e-5' in note and 'multiple of 4 plus 1' in note for note in result['notes'])
    actual = narrow.read_checkpoint(tmp_path / 'b')
    assert set(actual) == set(narrow.random_variables('v1_narrow'))
    for name, array in actual.items():
        other = keras[name.replace('v1_narrow', 'keras_narrow')]
        if name.endswith('moving_mean'):
            other = other - keras[name.replace('v1_narrow', 'keras_narrow').replace('BatchNorm/moving_mean', 'biases')]
        np.testing.assert_array_equal(array, other, strict=True)


@pytest.mark.parametrize(('source', 'destination', 'arguments', 'message'), [
    ('a', 'b.safetensors', {'network': 'v1_narrow'}, 'not those of v1_narrow.* networks for them are resnet_v15_18'),
    ('a', 'b.weights.h5', {'network': 'v15_narrow'}, 'not those of v15_narrow.*resnet_keras_50'),
    ('a', 'b.h5', {'network': 'v1_narrow'}, r'b.h5: files of this kind are not written. Keras loads .weights.h5'),
    ('a', 'b.pth', {'network': 'v1_narrow'}, 'files of this kind are not written'),
    ('a', 'b', {'network': 'resnet_v15_5'}, "Unknown network 'resnet_v15_5'; did you mean"),
    ('a', 'b', {'network': 'v15_narrow'}, 'does not fit the model'),
    ('a', 'b', {'source_kind': 'caffe'}, "must be one of keras, torchvision, timm, nvidia, slim; got 'caffe'"),
    ('a', 'b', {'source_kind': 'timm', 'network': 'v15_narrow'}, 'is tensorflow V2; weights of timm are not'),
    ('a', 'b.weights.h5', {}, 'The network must be named'),
    ('none', 'b', {}, 'none'),
    ('a', '.', {}, 'is a directory'),
    ('a', 'b', {'network': 'v1_narrow', 'preset_changes': {'crop': 'corner'}}, "got 'corner'"),
    ('a', 'b', {'network': 'v1_narrow', 'preset_changes': {'resize': 3}}, "'resize'"),
    ('a', 'b', {'network': 'v1_narrow', 'class_names': ['x']}, 'for each of the 5 classes; got 1'),
])
def test_what_cannot_be_is_told_and_nothing_is_written(source, destination, arguments, message, tmp_path):
    narrow.write_checkpoint(tmp_path / 'a', 'v1_narrow')
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / source, tmp_path / destination, **arguments)
    assert sorted(os.listdir(tmp_path)) == before


def test_what_is_there_stays_unless_it_may_be_overwritten(tmp_path):
    first = narrow.write_checkpoint(tmp_path / 'a', 'v1_narrow', seed=1)
    shutil.copyfile(tmp_path / 'a.index', tmp_path / 'b.meta')
    (tmp_path / 'b.data-00001-of-00002').write_text('an old part')
    with pytest.raises(ValueError, match=r'b is there already \(b.meta, b.data-00001-of-00002\).*--force'):
        convert(tmp_path / 'a', tmp_path / 'b', 'v1_narrow')
    convert(tmp_path / 'a', tmp_path / 'b', 'v1_narrow', overwrite=True)
    assert sorted(name for name in os.listdir(tmp_path) if name[0] == 'b') == [
        'b.data-00000-of-00001', 'b.index', 'b.preset.json']
    narrow.assert_equal(narrow.read_checkpoint(tmp_path / 'b'), first)
    # A copy without a network has no preset; the old one would be of other weights.
    second = narrow.write_checkpoint(tmp_path / 'c', 'v15_narrow', seed=2)
    convert(tmp_path / 'c', tmp_path / 'b', overwrite=True)
    narrow.assert_equal(narrow.read_checkpoint(tmp_path / 'b'), second)
    assert not os.path.exists(tmp_path / 'b.preset.json')


@pytest.mark.parametrize('failing', ['_write', '_verify'])
def test_a_failure_leaves_what_was_there(failing, tmp_path, monkeypatch):
    first = narrow.write_checkpoint(tmp_path / 'a', 'v1_narrow', seed=1)
    narrow.write_checkpoint(tmp_path / 'c', 'v1_narrow', seed=2)
    convert(tmp_path / 'a', tmp_path / 'b', 'v1_narrow')
    before = sorted(os.listdir(tmp_path))

    def fail(*args):
        raise OSError('No space left on device')

    monkeypatch.setattr(converting, failing, fail)
    with pytest.raises(OSError, match='No space'):
        convert(tmp_path / 'c', tmp_path / 'b', 'v1_narrow', overwrite=True, verify=True)
    assert sorted(os.listdir(tmp_path)) == before
    narrow.assert_equal(narrow.read_checkpoint(tmp_path / 'b'), first)


def test_the_preset_is_the_origins_with_what_is_changed(tmp_path):
    keras_file.write(tmp_path / 'a.weights.h5', narrow.origin_arrays(
        'keras_narrow', narrow.random_variables('keras_narrow')))
    names = list('abcde')
    convert(tmp_path / 'a.weights.h5', tmp_path / 'b', 'v1_narrow', class_names=names,
            preset_changes={'preprocessing': 'caffe', 'image_size': 288, 'resize_side': 300})
    preset = preset_file.read(tmp_path / 'b')
    assert preset[:3] == ('v1_narrow', 288, 'caffe')
    assert preset[4:] == (0, 5, tuple(names))
    assert preset.options == {
        'resize_side': 300, 'means': [123.68, 116.779, 103.939], 'deviations': [1, 1, 1], 'channel_order': 'BGR',
        'interpolation': 'bilinear', 'crop': 'centre'}
    # It travels on, with the names of the classes.
    convert(tmp_path / 'b', tmp_path / 'c.weights.h5', 'v1_narrow')
    convert(tmp_path / 'c.weights.h5', tmp_path / 'd', 'v1_narrow', preset_changes={'image_size': 256})
    assert preset_file.read(tmp_path / 'd') == preset._replace(image_size=256)


@pytest.mark.parametrize(('network', 'expected'), [
    ('v15_narrow', 'torchvision'), ('keras_narrow', 'caffe'), ('keras_v2_narrow', 'inception'), ('v1_narrow', 'caffe')])
def test_presets_are_those_of_the_origins(network, expected, tmp_path):
    origin = origins.origin_of(network)
    variables = narrow.random_variables(network)
    if origin.name == 'torch':
        needs('safetensors')
        safetensors_file.write(tmp_path / 'a', narrow.origin_arrays(network, variables))
    else:
        source = 'keras_narrow' if origin.folds else network
        keras_file.write(tmp_path / 'a', narrow.origin_arrays(source, narrow.random_variables(source)))
    convert(tmp_path / 'a', tmp_path / 'b', network)
    with open(tmp_path / 'b.preset.json', encoding='utf-8') as file:
        assert json.load(file)['preprocessing'] == expected
