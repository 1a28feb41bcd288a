"""Damaged files end in one clear error or in exactly the right values: never in a crash, a hang or wrong numbers.

The trials of a file run in a process of their own, a fork of this one, so that a crash or a hang is seen. Bits are
flipped at places drawn with a fixed seed.
"""

import os
import select
import shutil
import signal
import sys
import time
import zipfile

import golden
import h5py
import numpy as np
import pytest
import safetensors.numpy
import tensorflow.compat.v1 as tf
from keras_reference import write_legacy
from optional import torch

from nets.checkpoints import formats, hdf5_heaps, hdf5_trial, restore
from nets.checkpoints.writers import keras_file

RIGHT, WRONG, ERROR, OTHER, CRASH = range(5)  # how a trial ends
TIMEOUT = 60  # of one trial
GOLDENS = os.path.join(golden.FOLDER, 'checkpoints')
TF_FILES = {'index': ('tiny_v1', '.index'), 'data': ('tiny_v1', '.data-00000-of-00001'), 'V1': ('tiny_v1_old', '')}
# Those that have checksums of all values, beside TensorFlow's.
SUMMED = ('npz', 'torch', 'keras')


def _arrays():
    rng = np.random.default_rng(5)
    shapes = {'conv1/kernel': (3, 3, 3, 8), 'bn/moving_variance': (64,), 'fc/kernel': (16, 40)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def _write(kind, path):
    arrays = _arrays()
    if kind == 'npz':
        with open(path, 'wb') as file:
            np.savez(file, **arrays)
    elif kind == 'torch':
        torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    elif kind == 'old torch':
        torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path,
                   _use_new_zipfile_serialization=False)
    elif kind == 'safetensors':
        safetensors.numpy.save_file(arrays, path)
    elif kind == 'weights.h5':
        keras_file.write(path, {'conv1_conv/kernel': arrays['conv1/kernel'], 'predictions/kernel': arrays['fc/kernel'],
                                'conv1_bn/moving_variance': arrays['bn/moving_variance']})
    else:
        inner = path + '.inner' if kind == 'keras' else path
        with h5py.File(inner, 'w') as file:
            write_legacy(file, arrays)
        if kind == 'keras':
            with zipfile.ZipFile(path, 'w') as archive:
                archive.write(inner, 'model.weights.h5')
                archive.writestr('config.json', '{}')


@pytest.fixture
def no_trial(monkeypatch):
    """For many readings; what the other process is for is tested by itself."""
    monkeypatch.setattr(hdf5_trial, 'check', lambda path: None)


@pytest.fixture(params=[*TF_FILES, *SUMMED, 'old torch', 'safetensors', 'h5', 'weights.h5'])
def damaged(request, tmp_path, no_trial):
    """What kind of file it is, the path to open, and the path of the file to damage."""
    kind, path = request.param, str(tmp_path / 'model.ckpt-5')
    if kind not in TF_FILES:
        _write(kind, path)
        return kind, path, path
    name, ending = TF_FILES[kind]
    for file in os.listdir(os.path.join(GOLDENS, name)):
        if file.startswith('model.ckpt-5') and not file.endswith('.meta'):
            shutil.copy(os.path.join(GOLDENS, name, file), str(tmp_path))
    return kind, path, path + ending


def _values(path):
    with formats.open_weights(path) as weights:
        return {name: weights.read(name) for name in weights.shapes}


def _same(actual, expected):
    return set(actual) == set(expected) and all(
        (value.dtype, value.shape, value.tobytes()) == (
            expected[name].dtype, expected[name].shape, expected[name].tobytes()) for name, value in actual.items())


def _outcome(path, expected):
    """How reading ends: one of the codes above."""
    try:
        return RIGHT if _same(_values(path), expected) else WRONG
    except ValueError as error:
        return ERROR if path in str(error) and '\n' not in str(error) and len(str(error)) < 900 else OTHER
    except BaseException as error:
        os.write(2, repr(error)[:500].encode())
        return OTHER


def _outcomes(path, target, contents, expected):
    """How reading ends with each damage, as a dict from code to what was done.

    Args:
        path: What is opened.
        target: The file that is damaged.
        contents: List of pairs: what was done, and what the file then holds.
        expected: The right values.

    Returns:
        A dict; what a crash or a hang leaves out is under CRASH.
    """
    read_end, write_end = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            for _, content in contents:
                with open(target, 'wb') as file:
                    file.write(content)
                os.write(write_end, bytes([_outcome(path, expected)]))
        finally:
            os._exit(0)
    os.close(write_end)
    codes, deadline = b'', time.monotonic() + TIMEOUT
    with os.fdopen(read_end, 'rb', buffering=0) as results:
        while select.select([results], [], [], max(0, deadline - time.monotonic()))[0]:
            code = results.read(1)
            if not code:
                break
            codes, deadline = codes + code, time.monotonic() + TIMEOUT
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    outcomes = {}
    for (done, _), code in zip(contents, codes + bytes([CRASH])):
        outcomes.setdefault(code, []).append(done)
    return outcomes


def _flips(content, count, begin=0):
    rng = np.random.default_rng(len(content))
    for position, bit in zip(rng.integers(begin, len(content), count), rng.integers(0, 8, count)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << bit
        yield (int(position), int(bit)), bytes(flipped)


def test_flipped_bits_are_told_or_do_not_matter(damaged):
    kind, path, target = damaged
    with open(target, 'rb') as file:
        content = file.read()
    flips = list(_flips(content, 40)) + list(_flips(content, 10, max(0, len(content) - 48)))
    outcomes = _outcomes(path, target, flips, _values(path))
    allowed = {RIGHT, ERROR}
    if kind not in TF_FILES and kind not in SUMMED:
        # These formats have no checksums, so that a flipped bit of a value is another value.
        allowed.add(WRONG)
    assert set(outcomes) <= allowed, outcomes
    assert ERROR in outcomes
    if kind in ('data', 'V1', *SUMMED):
        assert len(outcomes[ERROR]) > 25


def test_files_cut_off_anywhere_are_told(damaged):
    kind, path, target = damaged
    with open(target, 'rb') as file:
        content = file.read()
    sizes = sorted({*range(0, len(content), 1024 if len(content) < 50000 else 5 * 1024), len(content) - 1})
    outcomes = _outcomes(path, target, [(size, content[:size]) for size in sizes], _values(path))
    assert set(outcomes) == {ERROR}, outcomes


def test_damage_to_the_heap_of_texts_in_hdf5_does_not_hang_the_library(tmp_path, no_trial):
    path = str(tmp_path / 'a.weights.h5')
    _write('weights.h5', path)
    with open(path, 'rb') as file:
        content = file.read()
    begin = content.index(b'GCOL')
    flips = []
    for position in range(begin, begin + 128):  # its head, three names of layers, and the head of what is free
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 3 + 2
        flips.append((position, bytes(flipped)))
    outcomes = _outcomes(path, path, flips, _values(path))
    assert set(outcomes) <= {RIGHT, WRONG, ERROR}, outcomes  # a name may be another one
    assert len(outcomes[ERROR]) > 40


def test_what_crashes_or_hangs_the_hdf5_library_ends_another_process(tmp_path, monkeypatch):
    path = str(tmp_path / 'a.weights.h5')
    _write('weights.h5', path)
    hdf5_trial.check(path)
    with open(path, 'rb') as file:
        content = bytearray(file.read())
    # The type of the attribute `name`: a sequence of variable length, of the kind 1, a text.
    kind = content.index(b'name\0\0\0\0\x19\x01') + 9
    content[kind] ^= 8
    with open(path, 'wb') as file:
        file.write(content)
    with pytest.raises(ValueError, match=f'{path} cannot be read; it is damaged such that .* ever .SIGSEGV.'):
        formats.open_weights(path)
    content[kind] ^= 8
    content[content.index(b'GCOL') + 25] ^= 4  # 1024 more in the size of the first text
    with open(path, 'wb') as file:
        file.write(content)
    with pytest.raises(ValueError, match='the heap of texts at byte'):
        hdf5_heaps.check_file(path)
    monkeypatch.setattr(hdf5_trial, 'CPU_SECONDS', 1)
    monkeypatch.setattr(hdf5_trial, '_CODE', hdf5_trial._CODE.replace(
        'hdf5_trial.run', 'from nets.checkpoints import hdf5_heaps; hdf5_heaps.check_file = len; hdf5_trial.run'))
    with pytest.raises(ValueError, match='ever .SIG(XCPU|KILL).'):
        hdf5_trial.check(path)


@pytest.mark.parametrize('version', ['V1', 'V2'])
def test_damage_is_told_when_restoring_and_no_variable_changes(version, tmp_path):
    # Above 8 MiB, TensorFlow reads in other pieces.
    arrays = dict(_arrays(), large=np.random.default_rng(1).normal(size=[2200, 1000]).astype(np.float32))
    variables = [tf.get_variable(name, initializer=tf.constant(array)) for name, array in arrays.items()]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        path = tf.train.Saver(write_version=getattr(tf.train.SaverDef, version)).save(
            session, str(tmp_path / 'm'), write_meta_graph=False)
        target = path + ('.data-00000-of-00001' if version == 'V2' else '')
        with open(target, 'rb') as file:
            content = file.read()
        assert len(content) > 8 * 2 ** 20
        load = restore.restore_fn(path, variables)
        for _, damaged in _flips(content, 15):
            with open(target, 'wb') as file:
                file.write(damaged)
            with pytest.raises(ValueError, match='cannot be read; it is damaged'):
                load(session)
            assert _same(dict(zip(arrays, session.run(variables))), arrays)


def test_wrong_values_and_crashes_would_be_seen(tmp_path, monkeypatch):
    path = str(tmp_path / 'a.npz')
    _write('npz', path)
    with open(path, 'rb') as file:
        trials = [('first', file.read())] * 2
    expected = _values(path)
    assert _outcomes(path, path, trials, expected) == {RIGHT: ['first'] * 2}
    wrong = dict(expected, **{'conv1/kernel': -expected['conv1/kernel']})
    assert _outcomes(path, path, trials, wrong) == {WRONG: ['first'] * 2}
    monkeypatch.setattr(formats, 'open_weights', lambda path: os.kill(os.getpid(), signal.SIGTERM))
    assert _outcomes(path, path, trials, expected) == {CRASH: ['first']}
