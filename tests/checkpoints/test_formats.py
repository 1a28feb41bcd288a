"""Every format gives back the names, shapes and values that were written, and says what is wrong with a bad file."""

import io
import os
import shutil
import sys
import zipfile

import golden
import h5py
import keras
import numpy as np
import pytest
import safetensors.numpy
import tensorflow
import tensorflow.compat.v1 as tf
from goldens import fill
from keras_reference import arrays_of, eagerly
from optional import torch

from nets.checkpoints import formats

# Keras 3 on NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

CHECKPOINTS = os.path.join(golden.FOLDER, 'checkpoints')
ARRAYS = {'conv1.weight': np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2) / 7,
          'bn1.running_mean': np.array([0.5, -1e-30, 3], np.float64), 'half': np.array([[1.5]], np.float16),
          'bn1.num_batches_tracked': np.array(12, np.int64), 'none': np.zeros([0, 3], np.float32)}


def _state():
    return {name: torch.from_numpy(array.copy()) for name, array in ARRAYS.items()}


def _check(weights, arrays):
    """Names, order, shapes, types and bits."""
    assert list(weights.shapes) == list(arrays)
    for name, array in arrays.items():
        got = weights.read(name)
        assert weights.shapes[name] == (array.shape, array.dtype.name)
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, array, err_msg=name)


@pytest.fixture(scope='module')
def model():
    """A model of Keras with two layers of a kind, a model within the model, and an optimizer that has run."""
    def build():
        inner = keras.Sequential([keras.Input([4, 4, 3]), keras.layers.Conv2D(3, 1, name='inner_conv'),
                                  keras.layers.BatchNormalization(name='inner_bn')], name='inner')
        images = keras.Input([4, 4, 3])
        net = keras.layers.Conv2D(2, 3, name='z_conv')(inner(images))
        net = keras.layers.BatchNormalization(name='some_bn')(net)
        net = keras.layers.Conv2D(2, 1, use_bias=False, name='a_conv')(net)
        model = keras.Model(images, keras.layers.Dense(2, name='out')(keras.layers.Flatten()(net)))
        model.compile('adam', 'mse')
        rng = np.random.default_rng(3)
        for weight in model.weights:
            weight.assign(rng.normal(size=weight.shape))
        model.fit(rng.normal(size=[4, 4, 4, 3]), rng.normal(size=[4, 2]), batch_size=2, verbose=0)
        return model
    return eagerly(build)


def _keras_arrays(model):
    inner, outer = model.get_layer('inner'), arrays_of(model)
    values = arrays_of(inner)
    values.update((name, array) for name, array in outer.items() if not name.startswith('inner/'))
    return values


@pytest.mark.parametrize(('name', 'kind'), [('tiny_v1', 'tensorflow V2'), ('tiny_v1_old', 'tensorflow V1')])
@pytest.mark.parametrize('given', ['directory', 'prefix', 'index'])
def test_checkpoints_of_tf1_give_back_every_array(name, kind, given):
    path = os.path.join(CHECKPOINTS, name, 'model.ckpt-5')
    case = next(case for case in fill.load_cases('training') if case['name'] == 'tiny_v1')
    if given == 'index' and kind == 'tensorflow V2':
        path += '.index'
    with formats.open_weights(os.path.dirname(path) if given == 'directory' else path) as weights:
        assert (weights.format, weights.step) == (kind, 5)
        assert {os.path.basename(file) for file in weights.files} == (
            {'model.ckpt-5'} if name.endswith('old') else
            {'model.ckpt-5.index', 'model.ckpt-5.data-00000-of-00001'})
        assert set(weights.shapes) == set(case['variables'])
        for key, value in case['variables'].items():
            np.testing.assert_array_equal(weights.read(key), value, err_msg=key)


@pytest.mark.parametrize('file', ['', 'saved_model.pb'])
def test_saved_models_of_tf1_have_their_names(tmp_path, file):
    directory = str(tmp_path / 'saved')
    with tf.Graph().as_default(), tf.Session() as session:
        variable = tf.get_variable('net/w', initializer=tf.constant([3.0, 4.0]))
        session.run(variable.initializer)
        builder = tf.saved_model.builder.SavedModelBuilder(directory)
        builder.add_meta_graph_and_variables(session, ['serve'])
        builder.save()
    with formats.open_weights(os.path.join(directory, file)) as weights:
        assert weights.format == 'SavedModel'
        assert [os.path.basename(path) for path in weights.files][0] == 'saved_model.pb'
        _check(weights, {'net/w': np.array([3, 4], np.float32)})


def test_saved_models_of_objects_have_the_names_of_their_variables(tmp_path):
    def save():
        module = tensorflow.Module()
        module.inner = tensorflow.Variable(np.array([3, 4], np.float32), name='net/w')
        tensorflow.saved_model.save(module, str(tmp_path))
    eagerly(save)
    with formats.open_weights(tmp_path) as weights:
        _check(weights, {'net/w': np.array([3, 4], np.float32)})


@pytest.mark.parametrize(('ending', 'kind'), [
    ('.weights.h5', 'Keras weights.h5'), ('.keras', 'keras'), ('.h5', 'Keras HDF5')])
@pytest.mark.filterwarnings('ignore:.*HDF5 file')
def test_files_of_keras_have_the_names_of_layers(model, tmp_path, ending, kind):
    path = str(tmp_path / ('model' + ending))
    eagerly(model.save_weights if ending == '.weights.h5' else model.save, path)
    expected = _keras_arrays(model)
    os.rename(path, str(tmp_path / 'no_ending'))
    with formats.open_weights(tmp_path / 'no_ending') as weights:
        assert weights.format == kind
        assert (weights.step, weights.has_optimizer) == (2, True)
        assert set(weights.shapes) == set(expected)
        assert {'z_conv/kernel', 'some_bn/moving_variance', 'out/bias'} < set(weights.shapes)
        for name, array in expected.items():
            np.testing.assert_array_equal(weights.read(name), array, err_msg=name)


def test_names_that_early_keras_3_left_out_come_from_the_configuration(tmp_path):
    def build():
        images = keras.Input([4, 4, 3])
        net = keras.layers.Conv2D(2, 3, name='z_conv')(images)
        net = keras.layers.BatchNormalization(name='some_bn')(net)
        return keras.Model(images, keras.layers.Conv2D(2, 1, name='a_conv')(net))
    model = eagerly(build)
    path = str(tmp_path / 'model.keras')
    eagerly(model.save, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    content = io.BytesIO(parts['model.weights.h5'])
    with h5py.File(content, 'r+') as file:
        for group in file['layers'].values():
            group['vars'].attrs.pop('name', None)
    parts['model.weights.h5'] = content.getvalue()
    with zipfile.ZipFile(path, 'w') as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    expected = arrays_of(model)
    with formats.open_weights(path) as weights:
        assert set(weights.shapes) == set(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(weights.read(name), array, err_msg=name)


@pytest.mark.parametrize('old', [False, True])
@pytest.mark.parametrize('wrap', [
    lambda state: state,
    lambda state: {'state_dict': state, 'optimizer': {'state': {}}, 'epoch': 3},
    lambda state: {'model': {'module.' + name: tensor for name, tensor in state.items()}},
    lambda state: {'state_dict': {'module._orig_mod.' + name: tensor for name, tensor in state.items()}},
    lambda state: {'_orig_mod.module.' + name: tensor for name, tensor in state.items()}])
def test_state_dicts_are_found_where_training_scripts_put_them(wrap, old, tmp_path):
    path = str(tmp_path / 'weights')
    torch.save(wrap(_state()), path, _use_new_zipfile_serialization=not old)
    with formats.open_weights(path) as weights:
        assert weights.format == 'torch'
        assert weights.has_optimizer == ('optimizer' in wrap({}))
        _check(weights, ARRAYS)


def test_averages_of_torch_are_taken_if_asked_for(tmp_path):
    path = str(tmp_path / 'both.pth.tar')
    averages = {'module.' + name: tensor + 1 for name, tensor in _state().items()}
    torch.save({'state_dict_ema': averages, 'state_dict': _state(), 'step': 7}, path)
    with formats.open_weights(path) as weights:
        assert (weights.step, weights.has_averages) == (7, True)
        _check(weights, ARRAYS)
    with formats.open_weights(path, ema=True) as weights:
        _check(weights, {name: array + array.dtype.type(1) for name, array in ARRAYS.items()})
    torch.save({'model_ema': averages}, path)
    with pytest.raises(ValueError, match=r'moving averages \(model_ema\) and no weights; ask for them'):
        formats.open_weights(path)
    torch.save(_state(), path)
    with pytest.raises(ValueError, match='holds no moving averages'):
        formats.open_weights(path, ema=True)


def test_bfloat16_of_torch_is_float32(tmp_path):
    path = str(tmp_path / 'half.pt')
    torch.save({'w': torch.tensor([1.5, -3.0], dtype=torch.bfloat16)}, path)
    with formats.open_weights(path) as weights:
        _check(weights, {'w': np.array([1.5, -3], np.float32)})


class Evil:
    """Runs a command where it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize('old', [False, True])
def test_code_in_files_of_torch_is_never_run(tmp_path, old):
    path, trace = str(tmp_path / 'evil.pth'), str(tmp_path / 'trace')
    torch.save({'state_dict': _state(), 'args': Evil(f'touch {trace}')}, path, _use_new_zipfile_serialization=not old)
    with pytest.raises(ValueError, match='could run any code'):
        formats.open_weights(path)
    assert not os.path.exists(trace)


def test_code_in_npz_is_never_run(tmp_path):
    path, trace = str(tmp_path / 'evil.npz'), str(tmp_path / 'trace')
    np.savez(path, a=np.array([Evil(f'touch {trace}')], dtype=object))
    with pytest.raises(ValueError, match='holds Python objects'):
        formats.open_weights(path)
    assert not os.path.exists(trace)


@pytest.mark.parametrize('kind', ['safetensors', 'npz', 'compressed npz'])
def test_flat_files_give_back_every_array(kind, tmp_path):
    path = str(tmp_path / 'weights')
    arrays = dict(ARRAYS, global_step=np.array(41, np.int64)) if 'npz' in kind else ARRAYS
    with open(path, 'wb') as file:
        if kind == 'safetensors':
            file.write(safetensors.numpy.save(arrays))
        else:
            (np.savez if kind == 'npz' else np.savez_compressed)(file, **arrays)
    with formats.open_weights(path) as weights:
        assert weights.format == kind.split()[-1]
        assert weights.step == (41 if 'npz' in kind else None)
        assert sorted(weights.shapes) == sorted(arrays)
        _check(weights, {name: arrays[name] for name in weights.shapes})


def test_a_name_that_is_not_there_is_an_error(tmp_path):
    np.savez(str(tmp_path / 'a.npz'), **ARRAYS)
    with formats.open_weights(tmp_path / 'a.npz') as weights, \
            pytest.raises(ValueError, match=r"holds no 'conv'; it holds conv1.weight, .*half"):
        weights.read('conv')


@pytest.mark.parametrize(('content', 'message'), [
    (None, 'There is no checkpoint at .*file'),
    (b'', 'is empty'),
    (b'\x89PNG\r\n\x1a\n' + bytes(100), 'none of these: a TensorFlow checkpoint'),
    (b'PK\x03\x04' + bytes(100), 'cannot be read as a zip file .*damaged or incomplete'),
    (b'\x89HDF\r\n\x1a\n' + bytes(100), 'cannot be read; it is damaged, incomplete'),
    (b'\x10\0\0\0\0\0\0\0{"a": ', 'cannot be read as safetensors; it is damaged'),
    (b'x' * 500, 'none of these'),
    (b'x' * 500 + b'\x57\xfb\x80\x8b\x24\x75\x47\xdb', 'cannot be read; it is damaged')])
def test_foreign_and_missing_files_are_named(content, message, tmp_path):
    path = tmp_path / 'file'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        formats.open_weights(path)
    assert str(path) in str(error.value)
    assert '\n' not in str(error.value)


def test_other_zip_files_and_other_objects_are_named(tmp_path):
    (tmp_path / 'text.txt').write_text('text')
    shutil.make_archive(str(tmp_path / 'archive'), 'zip', str(tmp_path), 'text.txt')
    with pytest.raises(ValueError, match='without weights; it holds text.txt'):
        formats.open_weights(tmp_path / 'archive.zip')
    torch.save([torch.zeros(1)], str(tmp_path / 'list.pt'))
    with pytest.raises(ValueError, match='holds a list, not a state dict'):
        formats.open_weights(tmp_path / 'list.pt')
    with h5py.File(tmp_path / 'other.h5', 'w') as file:
        file['data'] = np.zeros(3)
    with pytest.raises(ValueError, match='cannot be read'):
        formats.open_weights(tmp_path / 'other.h5')
    with pytest.raises(ValueError, match='holds no checkpoint'):
        formats.open_weights(tmp_path)
    np.savez(str(tmp_path / 'a.npz'), a=np.zeros(1))
    with pytest.raises(ValueError, match='no averages to choose by ema=True'):
        formats.open_weights(tmp_path / 'a.npz', ema=True)


@pytest.mark.parametrize('package', ['torch', 'safetensors'])
def test_a_package_that_is_not_there_is_named_with_its_extra(package, monkeypatch, tmp_path):
    torch.save(_state(), str(tmp_path / 'torch'))
    (tmp_path / 'safetensors').write_bytes(safetensors.numpy.save(ARRAYS))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"pip install 'tf1-nets\[{package}\]'"):
        formats.open_weights(tmp_path / package)
