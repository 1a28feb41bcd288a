"""`nets records` as users run it: in processes of its own, killed, interrupted, and without room on the disk."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from nets.cli import main
from nets.data import conversion, images, records

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Long enough for the slowest machine; nothing is measured by it.
TIMEOUT = 240
NUM_IMAGES, NUM_SHARDS = 600, 60


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """600 images of two classes in 60 files take the better part of a second to check."""
    root = tmp_path_factory.mktemp('images')
    rng = np.random.RandomState(0)
    for index in range(NUM_IMAGES):
        path = root / 'train' / 'ab'[index % 2] / f'{index}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(images.encode_grey_png(rng.randint(0, 256, [100, 101]).astype(np.uint8)))
    return os.fspath(root)


@pytest.fixture(scope='module')
def undisturbed(folder, tmp_path_factory):
    """The files that a run makes that nothing happens to."""
    output = tmp_path_factory.mktemp('undisturbed') / 'out'
    conversion.convert(folder, os.fspath(output), 'pets', num_shards=NUM_SHARDS, num_workers=1)
    return contents_of(output)


def contents_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def start(folder, output, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, '-m', 'nets', 'records', '--images', folder, '--output', os.fspath(output), '--name', 'pets',
         '--shards', str(NUM_SHARDS), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        start_new_session=True, **options)


def stop_after(process, output, shards, number):
    """Sends a signal to the process itself once some shards are made; what it wrote."""
    deadline = time.monotonic() + TIMEOUT
    while len(list(output.glob('pets_train.partial/*.json'))) < shards:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(number)
    return process.communicate(timeout=TIMEOUT)


def wait_for_all_of(session):
    """Returns when no process of a session is left."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        try:
            os.killpg(session, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError('There are processes left.')


def test_stopped_and_killed_run_leaves_no_processes_and_goes_on_to_the_same_bytes(folder, undisturbed, tmp_path):
    output = tmp_path / 'out'
    process = start(folder, output, '--workers', '2')
    _, error = stop_after(process, output, 3, signal.SIGINT)
    assert (process.returncode, error) == (130, 'nets records: interrupted.\n')
    wait_for_all_of(process.pid)

    process = start(folder, output, '--workers', '2')
    stop_after(process, output, 12, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    wait_for_all_of(process.pid)
    assert [path.name for path in output.iterdir()] == ['pets_train.partial']
    made = len(list(output.glob('pets_train.partial/*.json')))
    assert 12 <= made < NUM_SHARDS

    result = conversion.convert(folder, os.fspath(output), 'pets', num_shards=NUM_SHARDS, num_workers=1)
    assert (result['examples'], result['shards_kept']) == (NUM_IMAGES, made)
    assert contents_of(output) == undisturbed


def test_full_disk_is_named_and_leaves_nothing_half_done(folder, tmp_path):
    """A limit on the size of files stands for a full disk, as it needs no privileges."""
    output = tmp_path / 'out'

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))

    process = start(folder, output, '--workers', '2', preexec_fn=limit)
    stdout, error = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, stdout) == (1, '')
    assert len(error.splitlines()) == 1
    assert error.startswith('nets records: error: ')
    assert '-of-00060.tfrecord cannot be written: ' in error
    assert 'File too large' in error
    wait_for_all_of(process.pid)
    assert list(output.iterdir()) == []


def run(capsys, *arguments):
    code = main.main(['records', *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def small(tmp_path):
    """A folder of four images, one of them damaged."""
    for index in range(4):
        path = tmp_path / 'small' / 'train' / 'ab'[index % 2] / f'{index}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        encoded = images.encode_grey_png(np.full([9, 9], index, np.uint8))
        path.write_bytes(encoded[:-20] if index == 3 else encoded)
    return os.fspath(tmp_path / 'small')


def test_corrupt_images_are_listed_and_the_exit_code_tells(small, tmp_path, capsys):
    output = os.fspath(tmp_path / 'out')
    code, stdout, error = run(capsys, '--images', small, '--output', output, '--shards', '2', '--json')
    assert code == 1
    assert [name for name, _ in json.loads(stdout)['corrupt']] == ['train/b/3.png']
    assert 'train/b/3.png: it is damaged or truncated PNG data' in error
    assert 'has no new files yet' in error
    code, stdout, error = run(capsys, '--images', small, '--output', output, '--shards', '2', '--skip_corrupt')
    assert (code, stdout) == (0, '')
    assert 'train/b/3.png: it is damaged or truncated PNG data' in error
    assert (f'Wrote 3 images of 2 classes to 2 files; see {output}/small_train.manifest.json. 1 of them were there.'
            in error)


def test_check_tells_by_its_exit_code(small, tmp_path, capsys):
    output = os.fspath(tmp_path / 'out')
    assert run(capsys, '--images', small, '--output', output, '--skip_corrupt')[0] == 0
    code, stdout, error = run(capsys, '--check', output, '--json')
    assert code == 0
    assert json.loads(stdout)['problems'] == []
    assert '1 files with 3 records, ' in error
    assert 'bytes: no problems.' in error
    path = os.path.join(output, 'small_train_00000-of-00001.tfrecord')
    offset = int(records.record_offsets(path)[1])
    with open(path, 'r+b') as file:
        file.seek(offset + 20)
        file.write(b'\0\0\0')
    code, stdout, error = run(capsys, '--check', output, '--json')
    assert code == 1
    assert len(json.loads(stdout)['problems']) == 1
    assert f'{path}: record 1, at byte {offset}: ' in error
    assert 'bytes: 1 problems.' in error


def test_progress_is_shown_on_a_terminal(small, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, 'isatty', lambda: True)
    output = os.fspath(tmp_path / 'out')
    assert 'writing 100%' in run(capsys, '--images', small, '--output', output, '--skip_corrupt')[2]
    assert 'checking 100%' in run(capsys, '--check', output)[2]


@pytest.mark.parametrize(('arguments', 'code', 'words'), [
    ([], 2, 'one of the arguments --images --check is required'),
    (['--images', '/no/such'], 1, '--output must name a folder to write to'),
    (['--images', '/no/such', '--output', '{tmp}/out'], 1, "a folder or a CSV file; there is no '/no/such'"),
    (['--images', '{small}', '--output', '/proc/nets'], 1, '/proc/nets'),
    (['--images', '{small}', '--output', '{tmp}/out', '--shards', '5'], 1, 'that of the images, 4; got 5'),
    (['--check', '{tmp}'], 1, 'holds no *.manifest.json'),
])
def test_hostile_calls_are_explained(arguments, code, words, small, tmp_path, capsys):
    arguments = [argument.format(small=small, tmp=tmp_path) for argument in arguments]
    result, stdout, error = run(capsys, *arguments)
    assert (result, stdout) == (code, '')
    assert words in error
    assert 'Traceback' not in error
