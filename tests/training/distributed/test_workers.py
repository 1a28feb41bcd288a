"""Whole runs of several workers on this machine: what they learn, and what becomes of them when one is lost."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import tiny_network  # noqa: E402

from nets.data import pipeline  # noqa: E402
from nets.training import classification, config, inputs  # noqa: E402

STEPS = 5
BATCH = 12
LOST = 138
UNITS = [f'block{block}/unit_1/bottleneck_v1/{conv}' for block in (1, 2)
         for conv in ('shortcut', 'conv1', 'conv2', 'conv3')]
BATCH_NORMS = [f'tiny/{scope}/BatchNorm' for scope in ('conv1', *UNITS)]


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return tiny_network.make_images(tmp_path_factory.mktemp('data') / 'images')


def _flags(images, train_dir, steps=STEPS, **flags):
    flags = {'model_name': 'tiny', 'dataset_name': 'image_folder', 'dataset_dir': images, 'train_dir': str(train_dir),
             'batch_size': BATCH, 'num_preprocessing_threads': 1, 'max_number_of_steps': steps, 'seed': 3,
             'batch_norm_decay': 0.5, 'optimizer': 'momentum', 'learning_rate': 0.02, 'log_every_n_steps': 1,
             'learning_rate_decay_type': 'fixed', 'clone_on_cpu': True, **flags}
    return [f'--{name}={value}' for name, value in flags.items()]


def _run(jobs):
    script = os.path.join(os.path.dirname(__file__), 'workers.py')
    environ = {key: value for key, value in os.environ.items() if key != 'TF_CONFIG'}
    done = subprocess.run([sys.executable, '-W', 'ignore', script, json.dumps(jobs)], capture_output=True, text=True,
                          check=False, timeout=600, env=environ)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _tensors(train_dir, step=STEPS):
    reader = tf.train.NewCheckpointReader(os.path.join(str(train_dir), f'model.ckpt-{step}'))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def _losses(train_dir):
    with open(os.path.join(str(train_dir), 'metrics.jsonl'), encoding='utf-8') as file:
        records = [json.loads(line) for line in file]
    return [(record['step'], record['loss'], record['cross_entropy']) for record in records]


@pytest.fixture(scope='module')
def frozen(images, tmp_path_factory):
    """Runs of 1, 2 and 3 workers whose batch norms stand still; the directory of each."""
    folders = {count: tmp_path_factory.mktemp(f'frozen{count}') for count in (1, 2, 3)}
    # Buckets of a kilobyte: the network has some 2,000 weights.
    results = _run([{'workers': count, 'flags': _flags(images, folder, freeze=','.join(BATCH_NORMS),
                                                       all_reduce_megabytes=0.001)}
                    for count, folder in folders.items()])
    for result, count in zip(results, folders, strict=True):
        assert result['codes'] == [0] * count, result['outputs']
    return folders


@pytest.mark.parametrize('count', [2, 3])
def test_several_workers_learn_what_one_learns_from_the_whole_batch(frozen, count):
    together, alone = _tensors(frozen[count]), _tensors(frozen[1])
    assert together.keys() == alone.keys()
    start = _tensors(frozen[1], 0)
    assert np.abs(alone['tiny/logits/weights'] - start['tiny/logits/weights']).max() > 1e-3
    for name in alone:
        np.testing.assert_allclose(together[name], alone[name], rtol=0, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(_losses(frozen[count]), _losses(frozen[1]), rtol=0, atol=1e-5)


def test_only_the_chief_writes(frozen):
    for count in (1, 3):
        assert len([name for name in os.listdir(frozen[count]) if 'tfevents' in name]) == 1
        assert len(_losses(frozen[count])) == STEPS


@pytest.fixture(scope='module')
def disturbed(images, tmp_path_factory):
    """Two workers that are left alone, and two of which one is killed in step 4, and that are started again.

    Returns:
        The results of the runs, and the directories of the undisturbed and of the killed one.
    """
    whole, parts = tmp_path_factory.mktemp('whole'), tmp_path_factory.mktemp('parts')
    flags = {'moving_average_decay': 0.5, 'save_interval_secs': 0.001}
    job = {'workers': 2, 'flags': _flags(images, parts, **flags)}
    results = _run([{'workers': 2, 'flags': _flags(images, whole, **dict(flags, save_interval_secs=600))},
                    dict(job, harm={'index': 1, 'step': 4, 'signal': int(signal.SIGKILL)}), job])
    return results, whole, parts


def test_worker_that_is_killed_ends_the_others_and_says_how_to_go_on(disturbed):
    (_, killed, _), _, parts = disturbed
    assert killed['codes'] == [LOST, -signal.SIGKILL]
    assert re.search(r'error: Training stopped at step 4: worker 1 \(127\.0\.0\.1:\d+\) is gone\. Its own log may '
                     rf'say why\. Start all workers again; they go on from {parts}/model\.ckpt-3\.\n$',
                     killed['outputs'][0])


def test_restarted_workers_end_with_the_bits_and_losses_of_undisturbed_ones(disturbed):
    (undisturbed, _, restarted), whole, parts = disturbed
    assert undisturbed['codes'] == restarted['codes'] == [0, 0]
    assert f'Resuming from {parts}/model.ckpt-3' in restarted['outputs'][0]
    expected, got = _tensors(whole), _tensors(parts)
    assert {name: value.tobytes() for name, value in got.items()} == {
        name: value.tobytes() for name, value in expected.items()}
    assert _losses(parts) == _losses(whole)


def test_statistics_are_means_of_what_each_worker_made_of_its_images(disturbed, images):
    folder = disturbed[2]
    start, after = _tensors(folder, 1), _tensors(folder, 2)
    own = [_statistics_after_a_step(images, start, worker) for worker in (0, 1)]
    assert len(own[0]) == 2 * len(BATCH_NORMS)
    for name in own[0]:
        np.testing.assert_allclose(after[name], (own[0][name] + own[1][name]) / 2, rtol=1e-5, atol=1e-6)
        assert np.abs(own[0][name] - own[1][name]).max() > 1e-4


def _statistics_after_a_step(images, values, worker):
    """The moving statistics by name, when one worker alone has seen its half of the second batch."""
    tiny_network.register()
    settings = config.TrainConfig(model_name='tiny', batch_norm_decay=0.5, data=config.DataConfig(
        dataset_name='image_folder', dataset_dir=images, batch_size=BATCH))
    with tf.Graph().as_default(), tf.Session() as session:
        task = classification.training_task(settings)
        share = pipeline.Share(int(values['run/seed']), BATCH, BATCH, worker, 2)
        batch, initialize = inputs.next_batch(task, settings.data, BATCH // 2, share)
        task.network_fn(batch['image'])
        moving = {one.op.name: one for one in tf.model_variables() if '/moving_' in one.op.name}
        session.run([initialize, tf.global_variables_initializer()])
        session.run([tf.assign(one, values[one.op.name]) for one in tf.model_variables()])
        session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
        return session.run(moving)


@pytest.fixture(scope='module')
def ended(images, tmp_path_factory):
    """Pairs of workers: one is asked to stop, one falls silent, one was started otherwise, both diverge."""
    folders = [tmp_path_factory.mktemp(name) for name in ('asked', 'silent', 'other', 'diverging')]
    asked, silent, other, diverging = (
        {'workers': 2, 'flags': _flags(images, folder, 1000)} for folder in folders)
    silent['flags'] += ['--collective_timeout_secs=5']
    diverging['flags'] += ['--learning_rate=1e30']
    asked['harm'] = {'index': 1, 'step': 3, 'signal': int(signal.SIGTERM)}
    silent['harm'] = {'index': 1, 'step': 3, 'signal': int(signal.SIGSTOP)}
    other['extra'] = ['--learning_rate=0.5', '--batch_size=24']
    return folders, _run([asked, silent, other, diverging])


def test_worker_that_is_asked_to_stop_stops_all_at_the_same_step(ended):
    folder, result = ended[0][0], ended[1][0]
    assert result['codes'] == [128 + signal.SIGTERM] * 2
    assert all(f'Stopped by SIGTERM at step 3; saved {folder}/model.ckpt-3.' in output for output in result['outputs'])
    assert _tensors(folder, 3)['global_step'] == 3


def test_worker_that_falls_silent_ends_the_others_when_their_time_is_over(ended):
    result = ended[1][1]
    assert result['codes'] == [LOST, -signal.SIGKILL]
    assert 'Training stopped at step 3: another worker fell silent, or takes too long.' in result['outputs'][0]


def test_workers_that_were_started_otherwise_are_refused(ended):
    folder, result = ended[0][2], ended[1][2]
    assert result['codes'] == [1, 1]
    for output in result['outputs']:
        assert 'error: Worker 1 differs from the chief in data.batch_size (24, not 12), schedule.learning_rate (0.5, ' \
            'not 0.02). Start all workers with the same command' in output
    assert 'model.ckpt-0.index' not in os.listdir(folder)


def test_workers_diverge_together(ended):
    result = ended[1][3]
    assert result['codes'] == [1, 1]
    step, = {re.search(r'Training stopped at step (\d+): the loss is nan', output).group(1)
             for output in result['outputs']}
    assert int(step) > 1
