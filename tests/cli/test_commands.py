"""The commands as users run them: in processes of their own, stopped and killed, and with hostile input."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from nets.cli import evaluate, train

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(TESTS)
TINY = os.path.join(TESTS, 'training', 'tiny_network.py')
GOLDEN = os.path.join(TESTS, 'goldens', 'checkpoints', 'tiny_v1')
# Long enough for the slowest machine; nothing is measured by it.
TIMEOUT = 240


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    sys.path.insert(0, os.path.dirname(TINY))
    import tiny_network
    return tiny_network.make_images(tmp_path_factory.mktemp('data') / 'images')


def _start(script, *arguments):
    return subprocess.Popen([sys.executable, script, *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE,
                            text=True, cwd=ROOT)


def _run(script, *arguments):
    process = _start(script, *arguments)
    output, error = process.communicate(timeout=TIMEOUT)
    return process.returncode, output, error


def _train_arguments(images, train_dir, steps):
    return ['train', '--model_name=tiny', '--dataset_name=image_folder', f'--dataset_dir={images}',
            f'--train_dir={train_dir}', f'--max_number_of_steps={steps}', '--batch_size=4',
            '--log_every_n_steps=1',
            '--save_interval_secs=0', '--optimizer=momentum', '--batch_norm_decay=0.5',
            '--num_preprocessing_threads=1']


def _steps(train_dir):
    path = os.path.join(str(train_dir), 'metrics.jsonl')
    if not os.path.exists(path):
        return []
    with open(path, encoding='utf-8') as file:
        return [json.loads(line)['step'] for line in file if line.endswith('\n')]


def _stop_after(process, train_dir, step, number):
    """Sends a signal once a step has been logged; returns what the process wrote."""
    deadline = time.monotonic() + TIMEOUT
    while max(_steps(train_dir), default=0) < step:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    return process.communicate(timeout=TIMEOUT)


def test_stopped_and_killed_run_goes_on_where_it_was(images, tmp_path):
    endless = _train_arguments(images, tmp_path, 10 ** 6)
    process = _start(TINY, *endless)
    _, error = _stop_after(process, tmp_path, 3, signal.SIGINT)
    stopped = _steps(tmp_path)[-1]
    assert process.returncode == 128 + signal.SIGINT, error
    assert f'Stopped by SIGINT at step {stopped}; saved {tmp_path}/model.ckpt-{stopped}.' in error
    assert 'Traceback' not in error

    process = _start(TINY, *endless)
    _, error = _stop_after(process, tmp_path, stopped + 3, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert f'Resuming from {tmp_path}/model.ckpt-{stopped}.' in error

    code, output, error = _run(TINY, *_train_arguments(images, tmp_path, stopped + 80))
    assert code == 0, error
    resumed = int(error.split('Resuming from ')[1].split('ckpt-')[1].split('.')[0])
    # Every step was saved; what was written when the kill came may be lost.
    assert stopped + 2 <= resumed
    assert f'from step {resumed} to {stopped + 80}' in error
    assert f'Done at step {stopped + 80}' in error
    assert output == ''
    assert _steps(tmp_path) == list(range(1, stopped + 81))


def test_scripts_train_and_evaluate_a_network_of_the_library(tmp_path):
    shared = ['--dataset_name=digits', '--model_name=resnet_v1_14', '--preprocessing_name=digits']
    code, output, error = _run(
        os.path.join(ROOT, 'train_image_classifier.py'), *shared, f'--train_dir={tmp_path}',
        '--train_image_size=16',
        '--max_number_of_steps=2', '--batch_size=4', '--log_every_n_steps=1')
    assert (code, output) == (0, ''), error
    lines = error.splitlines()
    assert lines[0].startswith('Training resnet_v1_14 on digits/train: 1437 images, 10 classes, 16x16 pixels')
    assert lines[1].startswith('step 1/2  loss ')
    assert lines[-1].startswith('Done at step 2, loss ')
    assert lines[-2] == f'The report is {tmp_path}/report.html.'
    assert len(lines) == 5
    code, output, error = _run(
        os.path.join(ROOT, 'eval_image_classifier.py'), *shared, f'--checkpoint_path={tmp_path}',
        f'--eval_dir={tmp_path / "eval"}', '--eval_image_size=16')
    assert code == 0, error
    summary = json.loads(output)
    assert (summary['num_examples'], summary['num_classes'], summary['global_step']) == (360, 10, 2)
    assert os.path.getsize(summary['report']) > 5000
    with open(summary['eval_json'], encoding='utf-8') as file:
        assert sum(map(sum, json.load(file)['confusion_matrix'])) == 360


def _truncated(tmp_path):
    """A directory with a checkpoint whose index was cut."""
    shutil.copytree(GOLDEN, str(tmp_path / 'cut'))
    path = str(tmp_path / 'cut' / 'model.ckpt-5.index')
    with open(path, 'r+b') as file:
        file.truncate(1000)
    return str(tmp_path / 'cut')


HOSTILE = {
    'unknown model': (['--model_name=vgg_16'], r'vgg_16', 'resnet_v1_50'),
    'unknown dataset': (['--dataset_name=mars'], "'mars'", 'image_folder'),
    'unknown split': (['--dataset_split_name=dev'], "'dev'", 'train'),
    'unknown preprocessing': (['--preprocessing_name=lenet'], "'lenet'", 'vgg'),
    'missing directory': (['--dataset_name=image_folder', '--dataset_dir=/nowhere'], '/nowhere', 'folder'),
    'empty directory': (['--dataset_name=image_folder', '--dataset_dir={tmp}/empty'], '{tmp}/empty',
                        'folder'),
    'no directory': (['--dataset_name=image_folder'], 'dataset_dir', 'None'),
}
HOSTILE_TRAIN = {
    'unknown optimizer': (['--optimizer=lion'], "'lion'", 'rmsprop'),
    'unknown policy': (['--learning_rate_decay_type=sawtooth'], "'sawtooth'", 'polynomial'),
    'directory below a file': (['--train_dir={tmp}/file/below'], '--train_dir={tmp}/file/below',
                               'Not a directory'),
    'directory in a pseudo file system': (['--train_dir=/proc/nets'], '--train_dir=/proc/nets',
                                          'cannot be written'),
    'missing checkpoint': (['--checkpoint_path={tmp}/none'], '{tmp}/none', 'There is no checkpoint'),
    'checkpoint of another network': ([f'--checkpoint_path={GOLDEN}'], 'another network', 'tiny_v1'),
    'scope of nothing': (['--trainable_scopes=logits'], '--trainable_scopes', 'resnet_v1_14/logits'),
}
HOSTILE_EVAL = {
    'missing checkpoint': (['--checkpoint_path={tmp}/none'], '{tmp}/none', 'There is no checkpoint'),
    'empty checkpoint directory': (['--checkpoint_path={tmp}/empty'], '{tmp}/empty', 'holds no checkpoint'),
    'no checkpoint': (['--checkpoint_path={tmp}/file'], '{tmp}/file', 'cannot be read'),
    'file in the way': (['--eval_dir={tmp}/file'], '--eval_dir={tmp}/file', 'there is a file of that name'),
}


def _hostile(command, arguments, expected, tmp_path, capfd):
    """Runs a command in this process and checks that it fails with one clear line."""
    (tmp_path / 'file').write_text('something')
    (tmp_path / 'empty').mkdir(exist_ok=True)
    program = {'train': train, 'eval': evaluate}[command]
    directory = {'train': '--train_dir={tmp}/run', 'eval': '--eval_dir={tmp}/eval'}[command]
    size = {'train': '--train_image_size=16', 'eval': '--eval_image_size=16'}[command]
    defaults = ['--dataset_name=digits', '--model_name=resnet_v1_14', '--preprocessing_name=digits',
                directory, size]
    code = program.main([text.replace('{tmp}', str(tmp_path)) for text in ['program'] + defaults + arguments])
    output, error = capfd.readouterr()
    assert code == 1
    assert output == ''
    assert 'Traceback' not in error
    last = error[error.index('program: error: '):]
    for text in expected:
        assert text.replace('{tmp}', str(tmp_path)) in last
    return last


@pytest.mark.parametrize(('command', 'case'), [
    *(('train', case) for case in {**HOSTILE, **HOSTILE_TRAIN}), *(('eval', case) for case in HOSTILE_EVAL)])
def test_hostile_input_fails_with_the_value_and_what_to_do(command, case, tmp_path, capfd):
    cases = {'train': {**HOSTILE, **HOSTILE_TRAIN}, 'eval': HOSTILE_EVAL}[command]
    arguments, *expected = cases[case]
    _hostile(command, arguments, expected, tmp_path, capfd)
    assert not os.path.exists(str(tmp_path / 'run' / 'metrics.jsonl'))


def test_truncated_checkpoint_in_the_run_is_named(tmp_path, capfd):
    path = _truncated(tmp_path)
    line = _hostile('train', [f'--train_dir={path}'], ['cannot be read; it is damaged'], tmp_path, capfd)
    assert f'{path}/model.ckpt-5' in line
