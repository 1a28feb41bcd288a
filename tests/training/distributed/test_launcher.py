"""Copies of a command as one: what comes out of them, what goes in, and how they end. No TensorFlow."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from nets.training.distributed import launcher, tf_config

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

# What a copy knows of itself, before its own code.
_COPY = '''
import json, os, signal, sys, time
index = json.loads(os.environ['TF_CONFIG'])['task']['index']
def mark(name):
    open(os.path.join({folder!r}, name), 'w').close()
def wait_for(name):
    while not os.path.exists(os.path.join({folder!r}, name)):
        time.sleep(0.01)
'''

_LAUNCH = '''
import sys
from nets.training.distributed import launcher
launcher._SETTLE_SECS, launcher._GRACE_SECS = float(sys.argv[3]), 0.5
sys.exit(launcher.launch([sys.executable, '-c', sys.argv[1]], int(sys.argv[2])))
'''


@pytest.fixture
def launch(tmp_path):
    """A function that starts copies of some code; returns the `Popen` of the launcher."""
    started = []

    def start(code, num_clones=2, settle_secs=0.3, **environment):
        code = _COPY.format(folder=str(tmp_path)) + textwrap.dedent(code)
        environ = dict({key: value for key, value in os.environ.items() if key != tf_config.VARIABLE}, **environment)
        started.append(subprocess.Popen(
            [sys.executable, '-c', _LAUNCH, code, str(num_clones), str(settle_secs)], cwd=ROOT, env=environ,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _wait_for(path):
    while not path.exists():
        time.sleep(0.01)


def test_each_copy_has_its_place_and_its_lines_are_labelled(launch):
    process = launch('''
        cluster = json.loads(os.environ['TF_CONFIG'])['cluster']['worker']
        print(index, len(set(cluster)), os.environ['TF_NUM_INTRAOP_THREADS'], sep=',')
        print('oops', file=sys.stderr)
    ''', 3, CUDA_VISIBLE_DEVICES='')
    out, err = process.communicate(timeout=120)
    threads = max(1, len(os.sched_getaffinity(0)) // 3)
    assert out == f'0,3,{threads}\n'
    labelled = [f'[worker {index}] {line}' for index in (1, 2) for line in (f'{index},3,{threads}', 'oops')]
    assert sorted(err.splitlines()) == sorted(['oops', *labelled])
    assert process.returncode == 0


def test_copies_of_several_machines_take_the_ports_after_the_machines(launch):
    place = tf_config.Place(('one:2222', 'two:3333'), 1)
    process = launch("print(os.environ['TF_CONFIG'], flush=True)", TF_CONFIG=place.to_json())
    out, err = process.communicate(timeout=120)
    addresses = ['one:2222', 'one:2223', 'two:3333', 'two:3334']
    for index, line in ((2, out), (3, err.partition('[worker 3] ')[2])):
        assert json.loads(line) == {'cluster': {'worker': addresses}, 'task': {'type': 'worker', 'index': index}}


def test_the_first_failure_ends_the_others_and_gives_the_exit_code(launch):
    process = launch('''
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it has to be killed
        mark(str(index))
        if index == 1:
            wait_for('0')
            sys.exit(7)
        time.sleep(600)
    ''')
    process.communicate(timeout=120)
    assert process.returncode == 7


def test_a_copy_that_lost_another_one_is_not_what_failed(launch):
    process = launch('''
        if index == 1:
            wait_for('lost')
            os.kill(os.getpid(), signal.SIGKILL)
        mark('lost')
        sys.exit(138)
    ''', settle_secs=60)
    process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGKILL
    assert launcher.LOST_WORKER_EXIT_CODE == 138


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_all_copies_once_and_they_may_take_their_time(launch, tmp_path, number):
    process = launch('''
        seen = []
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, frame: seen.append(number))
        mark(str(index))
        while not seen:
            time.sleep(0.01)
        if index == 0:
            time.sleep(1.5)  # longer than one that failed would be given
            mark('saved')
        assert len(seen) == 1
        sys.exit(128 + seen[0])
    ''')
    for name in '01':
        _wait_for(tmp_path / name)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (128 + number, '')
    assert (tmp_path / 'saved').exists()


@pytest.mark.skipif(sys.platform != 'linux', reason='Linux only')
def test_no_copy_outlives_a_launcher_that_is_killed(launch, tmp_path):
    process = launch('''
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with open(os.path.join({folder!r}, str(index) + '.pid'), 'w') as file:
            file.write(str(os.getpid()))
        mark(str(index))
        time.sleep(600)
    '''.format(folder=str(tmp_path)))
    for name in '01':
        _wait_for(tmp_path / name)
    process.kill()
    for name in '01':
        pid = int((tmp_path / f'{name}.pid').read_text())
        while _is_alive(pid):
            time.sleep(0.01)


def _is_alive(pid):
    """Whether a process runs; a dead one may wait for its new parent to take notice."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def test_each_copy_gets_a_gpu_of_its_own_and_too_few_are_an_error(launch):
    process = launch("print(os.environ['CUDA_VISIBLE_DEVICES'])", CUDA_VISIBLE_DEVICES='3,GPU-5')
    out, err = process.communicate(timeout=120)
    assert (out, err) == ('3\n', '[worker 1] GPU-5\n')
    process = launch('pass', 3, CUDA_VISIBLE_DEVICES='3,5')
    assert '--num_clones=3 needs as many GPUs, and there are 2.' in process.communicate(timeout=120)[1]


@pytest.mark.parametrize('value', ['', '-1'])
def test_no_gpu_is_visible_where_none_is_allowed(value, monkeypatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', value)
    assert launcher.visible_gpus() == []
