"""`nets convert` on files that Keras itself saved, and back into Keras' own models."""

import json
import os
import subprocess
import sys
import time
import warnings

import h5py
import keras
import keras_reference
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.checkpoints import keras_names
from nets.cli import main

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KIND = keras_names.kind_of('resnet_keras_50')


def quietly(fn, path):
    """Calls a function of Keras; its own warnings, about older kinds and about NumPy, are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        keras_reference.eagerly(fn, path)


def save(model, folder):
    """Saves a model in every way that Keras has, and as its first generation did."""
    arrays = keras_reference.arrays_of(model)
    quietly(model.save_weights, folder / 'a.weights.h5')
    quietly(model.save, folder / 'whole.h5')
    quietly(model.save, folder / 'b.keras')
    with h5py.File(folder / 'first.h5', 'w') as file:
        keras_reference.write_legacy(file, keras_names.to_keras(keras_names.to_slim(arrays, KIND), KIND, 'first'))
    return arrays


@pytest.fixture(scope='module')
def resnet50(tmp_path_factory):
    """Folder of the files of a ResNet50 with random weights, and its arrays."""
    folder = tmp_path_factory.mktemp('resnet50')
    model = keras_reference.eagerly(keras_reference.build, keras.applications.ResNet50)
    return folder, save(model, folder)


def run(capsys, *arguments):
    """What the command prints as JSON, and the rest."""
    code = main.main(['convert', *map(str, arguments), '--json'])
    output, error = capsys.readouterr()
    assert code == 0, error
    return json.loads(output), error


def variables_of(prefix):
    reader = tf.train.NewCheckpointReader(str(prefix))
    return {name.split('/', 1)[1]: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
            if name != 'global_step'}


def assert_equal(actual, expected):
    assert sorted(actual) == sorted(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array, strict=True)


@pytest.mark.parametrize('name', ['a.weights.h5', 'whole.h5', 'first.h5'])
def test_every_kind_of_file_of_keras_is_converted(name, resnet50, tmp_path, capsys):
    folder, arrays = resnet50
    labels = tmp_path / 'labels.txt'
    labels.write_text(''.join(f'{i}:class {i}\n' for i in reversed(range(11))))
    result, error = run(capsys, folder / name, tmp_path / 'a.ckpt', '--network=resnet_keras_50',
                        f'--class_names={labels}', '--preset=resize_side=300', '--preset=means=[1, 2, 3]')
    assert (result['num_variables'], result['num_classes'], result['notes']) == (320, 11, [])
    assert f'Wrote 320 variables (11 classes) from {folder / name}' in error
    assert_equal(variables_of(tmp_path / 'a.ckpt'), keras_names.to_slim(arrays, KIND))
    with open(result['preset'], encoding='utf-8') as file:
        preset = json.load(file)
    assert preset['class_names'] == [f'class {i}' for i in range(11)]
    assert (preset['options']['resize_side'], preset['options']['means']) == (300, [1, 2, 3])


def test_there_and_back_through_keras_own_models(resnet50, tmp_path, capsys):
    folder, arrays = resnet50
    result, error = run(capsys, folder / 'b.keras', tmp_path / 'a.ckpt', '--network=resnet_keras_50', '--verify')
    checked = result['verification']
    assert checked['with'] == 'keras, weights loaded by Keras'
    assert len(checked['end_points']) == 3 + 4 + 6 + 3 + 2
    assert 1e-9 < checked['worst'] < 1e-5
    assert 'Verified against keras' in error
    back = tmp_path / 'back.weights.h5'
    run(capsys, tmp_path / 'a.ckpt', back, '--network=resnet_keras_50')

    def loaded():
        model = keras.applications.ResNet50(weights=None, classes=11)
        model.load_weights(back)
        return keras_reference.arrays_of(model)

    assert_equal(keras_reference.eagerly(loaded), arrays)


def test_slims_own_network_is_judged_where_it_is_the_same_function(resnet50, tmp_path, capsys):
    result, error = run(capsys, resnet50[0] / 'first.h5', tmp_path / 'a.ckpt', '--network=resnet_v1_50', '--verify')
    checked = result['verification']
    assert checked['with'] == 'keras, weights loaded by names'
    assert checked['judged'] == ['65x65', '49x81']
    assert 1e-9 < checked['worst'] < 1e-5
    assert all((error_ > 0.01) == (size in ('64x64', '67x96')) for size, error_ in checked['sizes'].items())
    assert 'Note: Keras\' epsilon is 1.001e-5' in error


def test_a_network_without_top_and_of_version_2(tmp_path, capsys):
    model = keras_reference.eagerly(
        lambda: keras_reference.build(keras.applications.ResNet50V2, include_top=False))
    quietly(model.save_weights, tmp_path / 'a.weights.h5')
    result, _ = run(capsys, tmp_path / 'a.weights.h5', tmp_path / 'a.ckpt', '--network=resnet_keras_v2_50', '--verify')
    assert result['num_classes'] == 0
    assert list(result['verification']['end_points'])[-1] == 'global_pool'
    assert 1e-9 < result['verification']['worst'] < 1e-5


@pytest.mark.parametrize(('arguments', 'code', 'text'), [
    (['none.h5', 'a'], 1, 'error: '),
    (['a.weights.h5', 'a'], 1, 'error: The network must be named'),
    (['a.weights.h5', 'a', '--network=resnet_keras_v2_50'], 1, 'does not fit resnet_keras_v2_50: '),
    (['a.weights.h5', 'a', '--network=resnet_v15_50'], 1, 'not those of resnet_v15_50'),
    (['a.weights.h5', 'a', '--network=resnet_keras_50', '--class_names=none.txt'], 1, 'none.txt'),
    (['a.weights.h5', 'a', '--preset=x'], 2, "KEY=VALUE is expected, such as resize_side=235; got 'x'"),
    (['a.weights.h5'], 2, 'required: DST'),
])
def test_what_is_wrong_is_said_and_told_by_the_exit_code(arguments, code, text, resnet50, tmp_path, capsys):
    paths = [str(resnet50[0] / arguments[0])] + [str(tmp_path / path) for path in arguments[1:2]]
    assert main.main(['convert', *paths, *arguments[2:]]) == code
    output, error = capsys.readouterr()
    assert text in error
    assert (output, os.listdir(tmp_path)) == ('', [])
    assert 'Traceback' not in error


def test_help_imports_nothing_heavy():
    code = ('import sys; from nets.cli import main; assert main.main(["convert", "--help"]) == 0; '
            'assert not {"tensorflow", "numpy", "keras", "torch"} & set(sys.modules)')
    begin = time.monotonic()
    output = subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT, capture_output=True, text=True).stdout
    assert '--verify' in output
    assert time.monotonic() - begin < 30
