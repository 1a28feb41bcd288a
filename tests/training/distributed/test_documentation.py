"""The commands of docs/distributed.md, as they are written there, but for ports, steps and paths."""

import os
import re
import subprocess
import sys

import pytest

from nets.training.distributed import launcher

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
STEPS = 3


def commands():
    """The blocks of commands, as texts."""
    with open(os.path.join(ROOT, 'docs', 'distributed.md'), encoding='utf-8') as file:
        return re.findall(r'^```\n(.*?)^```$', file.read(), re.DOTALL | re.MULTILINE)


def start(command, folder):
    """Starts a block of commands in a shell."""
    script = os.path.join(ROOT, 'train_image_classifier.py')
    command = command.replace('python train_image_classifier.py', f'exec {sys.executable} -W ignore {script}')
    command = command.replace('--max_number_of_steps=200', f'--max_number_of_steps={STEPS}')
    environ = {key: value for key, value in os.environ.items() if key != 'TF_CONFIG'}
    return subprocess.Popen(['sh', '-c', command], cwd=folder, env=environ, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def finish(processes):
    outputs = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), outputs
    return outputs


@pytest.fixture(autouse=True)
def _needs_digits():
    pytest.importorskip('sklearn')


def test_num_clones(tmp_path):
    output, = finish([start(commands()[0], tmp_path)])
    assert f'Done at step {STEPS}, ' in output
    assert f'[worker 1] Done at step {STEPS}, ' in output
    assert f'model.ckpt-{STEPS}.index' in os.listdir(tmp_path / 'run')


def test_two_terminals(tmp_path):
    blocks = commands()[1:]
    assert len(blocks) == 2
    for written, free in zip((2222, 2223), launcher.free_ports(2), strict=True):
        blocks = [block.replace(f'localhost:{written}', f'localhost:{free}') for block in blocks]
    outputs = finish([start(block, tmp_path) for block in blocks])
    for output in outputs:
        assert '2 workers train together' in output
        assert f'Done at step {STEPS}, ' in output
