"""The command `nets extract`: killed at random points, in little memory, and with hostile input."""

import errno
import json
import multiprocessing
import os
import random
import re
import select
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(TESTS)
sys.path.insert(0, os.path.join(TESTS, 'inference'))
import tiny_inference as tiny  # noqa: E402

from nets import nets_factory  # noqa: E402
from nets.cli import main  # noqa: E402
from nets.inference import resume  # noqa: E402

GOLDEN = os.path.join(TESTS, 'goldens', 'checkpoints', 'tiny_v1')
TIMEOUT = 240


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(nets_factory.NETWORKS, tiny.NAME, tiny.NETWORK)
        return tiny.write_checkpoint(tmp_path_factory.mktemp('checkpoint'))


@pytest.fixture(scope='module')
def start():
    """A function that starts the command in a process of its own, which need not import TensorFlow first."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['tiny_inference', 'nets.inference.extraction', 'nets.inference.outputs.npz'])

    def starter(arguments, log):
        process = context.Process(target=tiny.command, args=(list(arguments), str(log)))
        process.start()
        return process

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('PYTHONPATH', os.pathsep.join([ROOT] + sys.path))  # for the server, which has no other way
        yield starter


def finish(process, log):
    """Waits for the end of a command; returns its exit code and what it printed."""
    process.join(TIMEOUT)
    with open(log, encoding='utf-8') as file:
        return process.exitcode, file.read()


def arguments_of(checkpoint, images, output, *more):
    return ['extract', '--network', tiny.NAME, '--checkpoint', checkpoint, '--images', str(images), '--output',
            str(output), *more]


def progress(output):
    """How many lines the journal has."""
    try:
        with open(os.path.join(resume.folder_of(output), 'journal.jsonl'), 'rb') as file:
            return file.read().count(b'\n')
    except FileNotFoundError:
        return 0


def test_killed_ten_times_it_writes_the_same_bytes_as_undisturbed(start, checkpoint, tmp_path):
    images, log = tmp_path / 'images', tmp_path / 'log'
    paths = tiny.write_images(images, 300)
    for number in (0, 17, 200):
        with open(paths[number], 'wb') as file:
            file.write(b'')
    more = ('--batch_size', '3', '--end_point', 'global_pool', f'{tiny.NAME}/logits', '--skip_corrupt')
    code, said = finish(start(arguments_of(checkpoint, images, tmp_path / 'whole.npz', *more), log), log)
    assert code == 0, said
    with np.load(tmp_path / 'whole.npz') as held:
        assert held['names'].tolist() == [path for number, path in enumerate(paths) if number not in (0, 17, 200)]
        assert len(held['global_pool']) == 297

    output, places, rng = tmp_path / 'out.npz', [], random.Random()
    arguments = arguments_of(checkpoint, images, output, *more)
    targets = [0] * 2 + sorted(rng.randrange(1, 99) for _ in range(6)) + [100] * 2  # lines of the journal
    for target in targets:
        process = start(arguments, log)
        while process.is_alive() and progress(output) < target:
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.2 if target == 0 else 0.01))
        process.kill()
        process.join()
        assert process.exitcode in (0, -9), finish(process, log)
        places.append(progress(output))
        if not os.path.exists(resume.folder_of(output)) and output.exists():
            assert target == 100  # it was done before the kill
            assert output.read_bytes() == (tmp_path / 'whole.npz').read_bytes()
            output.unlink()
    assert len({place for place in places if 0 < place < 100}) > 2, places
    code, said = finish(start(arguments, log), log)
    assert code == 0, said
    assert output.read_bytes() == (tmp_path / 'whole.npz').read_bytes()
    assert sorted(os.listdir(tmp_path)) == ['images', 'log', 'out.npz', 'whole.npz']


def test_memory_does_not_grow_with_the_number_of_images(start, checkpoint, tmp_path):
    tiny.write_images(tmp_path / 'images', 200)
    for number in range(200):
        for copy in range(1, 20):
            os.link(tmp_path / 'images' / f'{number:05d}.png', tmp_path / 'images' / f'{number:05d}_{copy}.png')
    peaks, end_point = {}, f'{tiny.NAME}/block1'
    for count, images in ((200, tmp_path / 'images' / '?????.png'), (4000, tmp_path / 'images')):
        code, said = finish(start(arguments_of(
            checkpoint, images, tmp_path / f'{count}.npy', '--end_point', end_point, '--dtype', 'float16'),
            tmp_path / 'log'), tmp_path / 'log')
        assert code == 0, said
        peaks[count] = int(re.search(r'(\d+) KiB', said).group(1)) / 1024
        assert np.load(tmp_path / f'{count}.npy', mmap_mode='r').shape == (count, 32, 32, 16)
    # The features alone are 131 MB against 6.5.
    assert peaks[4000] - peaks[200] < 40, peaks


def test_terminal_shows_progress_speed_and_time_left(start, checkpoint, tmp_path):
    tiny.write_images(tmp_path / 'images', 60)
    terminal, end = os.openpty()  # which is 0 characters wide
    process = start(arguments_of(checkpoint, tmp_path / 'images', tmp_path / 'out.npz', '--batch_size', '2'),
                    os.ttyname(end))
    said, deadline = b'', time.monotonic() + TIMEOUT
    while b'exit code' not in said and time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            said += os.read(terminal, 1 << 16)
        elif not process.is_alive():
            break
    process.join(TIMEOUT)
    os.close(end)
    os.close(terminal)
    assert process.exitcode == 0, said
    assert re.search(r'extracting +\d+%\|.*\| \d+/60 \[\d\d:\d\d<\d\d:\d\d, +[\d.]+ images/s\]', said.decode()), said


@pytest.fixture
def run(monkeypatch, capfd):
    """A function that runs the command in this process: exit code, standard output, error output."""
    monkeypatch.setitem(nets_factory.NETWORKS, tiny.NAME, tiny.NETWORK)

    def runner(arguments):
        code = main.main(arguments)
        output, error = capfd.readouterr()
        assert 'Traceback' not in error
        return code, output, error

    return runner


def test_corrupt_images_are_listed_and_the_rest_is_written(run, checkpoint, tmp_path):
    paths = tiny.write_images(tmp_path / 'images', 5)
    with open(paths[2], 'wb') as file:
        file.write(b'<html>')
    code, said, error = run(arguments_of(checkpoint, tmp_path / 'images', tmp_path / 'out.h5', '--json'))
    assert code == 1
    result = json.loads(said)
    assert (result['num_images'], result['num_rows'], result['num_resumed']) == (5, 4, 0)
    assert result['corrupt'] == [[paths[2], 'it looks like HTML or XML, 6 bytes, where JPEG or PNG is needed']]
    assert result['end_points'] == {'global_pool': [1, 1, 32]}
    assert '1 images could not be decoded' in error
    assert paths[2] in error
    with h5py.File(tmp_path / 'out.h5', 'r') as file:
        assert [name.decode() for name in file['names']] == paths[:2] + paths[3:]
    code, _, error = run(arguments_of(checkpoint, tmp_path / 'images', tmp_path / 'two.h5', '--skip_corrupt'))
    assert code == 0
    assert paths[2] in error


def test_a_full_disk_is_told_and_the_rows_so_far_are_kept(run, checkpoint, tmp_path, monkeypatch):
    tiny.write_images(tmp_path / 'images', 2)
    arguments = arguments_of(checkpoint, tmp_path / 'images', tmp_path / 'f.npy')

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(resume.Partial, 'finish', full)
        code, _, error = run(arguments)
    assert code == 1
    assert 'f.npy cannot be written to: No space left on device. The rows so far are kept' in error
    assert run(arguments)[0] == 0
    assert np.load(tmp_path / 'f.npy').shape[0] == 2


def test_only_corrupt_images_are_an_error_and_leave_nothing(run, checkpoint, tmp_path):
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images' / 'a.jpg').write_bytes(b'')
    code, _, error = run(arguments_of(checkpoint, tmp_path / 'images', tmp_path / 'out.npz', '--skip_corrupt'))
    assert code == 1
    assert "None of the 1 images can be decoded. The first is '" in error
    assert os.listdir(tmp_path) == ['images']


HOSTILE = {
    'missing folder': (['--images', '{tmp}/none'], '{tmp}/none', 'is no folder'),
    'empty folder': (['--images', '{tmp}/empty'], '{tmp}/empty', 'holds no images'),
    'output in no folder': (['--output', '{tmp}/none/out.npz'], '{tmp}/none/out.npz', 'Make it'),
    'output is a folder': (['--output', '{tmp}/folder.npz'], 'folder.npz', 'it is a folder'),
    'output below a file': (['--output', '{tmp}/file/out.npz'], '{tmp}/file', 'there is no folder'),
    'output in a pseudo file system': (['--output', '/proc/out.npz'], '/proc/out.npz', 'cannot be written to'),
    'output exists': (['--output', '{tmp}/old.npz'], '{tmp}/old.npz', '--overwrite'),
    'output of no kind': (['--output', '{tmp}/out.csv'], '.parquet', 'out.csv'),
    'unknown network': (['--network', 'resnet_v3'], "'resnet_v3'", 'resnet_v1_50'),
    'unknown end point': (['--end_point', 'pool5'], "'pool5'", 'global_pool'),
    'unknown preprocessing': (['--preprocessing', 'lenet'], "'lenet'", 'vgg'),
    'missing checkpoint': (['--checkpoint', '{tmp}/none'], '{tmp}/none', 'There is no checkpoint'),
    'wrong checkpoint': (['--checkpoint', GOLDEN], 'does not fit', 'tiny_v1'),
    'no batch': (['--batch_size', '0'], 'batch_size', 'got 0'),
}


@pytest.mark.parametrize('case', HOSTILE)
def test_hostile_input_fails_with_the_value_and_what_to_do(run, checkpoint, tmp_path, case):
    tiny.write_images(tmp_path / 'images', 2)
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'folder.npz').mkdir()
    (tmp_path / 'file').write_text('x')
    (tmp_path / 'old.npz').write_text('old')
    before = sorted(os.listdir(tmp_path))
    arguments, *expected = HOSTILE[case]
    code, said, error = run([text.replace('{tmp}', str(tmp_path)) for text in arguments_of(
        checkpoint, '{tmp}/images', '{tmp}/out.npz', *arguments)])
    assert (code, said) == (1, '')
    last = error[error.index('nets extract: error: '):]
    for text in expected:
        assert text.replace('{tmp}', str(tmp_path)) in last
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / 'old.npz').read_text() == 'old'


def test_wrong_command_line_is_code_2(run):
    code, _, error = run(['extract', '--network', 'resnet_v1_50'])
    assert code == 2
    assert '--checkpoint' in error


def test_help_imports_nothing_heavy():
    code = ("import sys; from nets.cli import main; main.main(['extract', '--help']); "
            "assert not {'tensorflow', 'numpy', 'h5py', 'tqdm'} & set(sys.modules)")
    said = subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT, capture_output=True, text=True).stdout
    assert '--skip_corrupt' in said
