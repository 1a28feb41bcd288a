"""Whole training runs of a tiny network on real files, in this process."""

import dataclasses
import json
import logging
import math
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tiny_network

from nets.checkpoints import restore
from nets.training import config, graph, loop, reporting, validation


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return tiny_network.make_images(tmp_path_factory.mktemp('data') / 'images')


@pytest.fixture(scope='module')
def trained(images, tmp_path_factory):
    """A finished run of 4 steps: its configuration and its result."""
    settings = _config(tmp_path_factory.mktemp('trained'), images, max_number_of_steps=4,
                       moving_average_decay=0.5)
    with tf.Graph().as_default():
        return settings, loop.train(settings)


def _config(train_dir, images, optimizer='momentum', rate=0.01, **values):
    tiny_network.register()
    data = config.DataConfig(dataset_name='image_folder', dataset_dir=images, batch_size=4,
                             num_preprocessing_threads=1)
    return dataclasses.replace(config.TrainConfig(
        train_dir=str(train_dir), model_name='tiny', data=data, log_every_n_steps=1, seed=3,
        batch_norm_decay=0.5,
        optimizer=config.OptimizerConfig(optimizer=optimizer),
        schedule=config.ScheduleConfig(learning_rate_decay_type='fixed', learning_rate=rate)), **values)


def _tensors(path):
    reader = tf.train.NewCheckpointReader(path)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def _metrics(train_dir):
    with open(os.path.join(str(train_dir), 'metrics.jsonl'), encoding='utf-8') as file:
        return [json.loads(line) for line in file]


def test_run_leaves_a_checkpoint_that_slim_can_read_and_a_log(trained):
    settings, result = trained
    assert (result.step, result.stopped_by) == (4, None)
    assert result.checkpoint_path == os.path.join(settings.train_dir, 'model.ckpt-4')
    tensors = _tensors(result.checkpoint_path)
    assert tensors['global_step'] == 4
    for name in ('tiny/conv1/weights', 'tiny/block1/unit_1/bottleneck_v1/shortcut/BatchNorm/moving_variance',
                 'tiny/logits/biases', 'tiny/logits/biases/Momentum',
                 'tiny/logits/biases/ExponentialMovingAverage',
                 'tiny/conv1/BatchNorm/moving_mean/ExponentialMovingAverage'):
        assert name in tensors
    metrics = _metrics(settings.train_dir)
    assert [record['step'] for record in metrics] == [1, 2, 3, 4]
    assert metrics[-1]['loss'] == result.loss
    assert all(record['loss'] > record['cross_entropy'] > 0 for record in metrics)


def test_training_lowers_the_loss(tmp_path, images):
    loop.train(_config(tmp_path, images, rate=0.05, max_number_of_steps=30))
    entropies = [record['cross_entropy'] for record in _metrics(tmp_path)]
    assert np.mean(entropies[-5:]) < 0.6 * np.mean(entropies[:5])


def test_resumed_run_goes_on_from_the_saved_weights(tmp_path, images, caplog):
    # With a rate of 0 only the averages of batch norm move: what is loaded is what is saved again.
    first = loop.train(_config(tmp_path, images, rate=0.0, max_number_of_steps=2))
    with caplog.at_level(logging.INFO):
        second = loop.train(_config(tmp_path, images, rate=0.0, max_number_of_steps=3))
    assert f'Resuming from {first.checkpoint_path}.' in caplog.text
    assert second.step == 3
    before, after = _tensors(first.checkpoint_path), _tensors(second.checkpoint_path)
    np.testing.assert_array_equal(before['tiny/conv1/weights'], after['tiny/conv1/weights'])
    assert np.abs(before['tiny/conv1/weights']).max() > 0
    assert after['global_step'] == 3
    assert [record['step'] for record in _metrics(tmp_path)] == [1, 2, 3]


def test_finished_run_does_nothing_and_says_so(trained, caplog):
    settings, result = trained
    with caplog.at_level(logging.INFO):
        again = loop.train(settings)
    assert 'nothing to do' in caplog.text
    assert (again.step, again.checkpoint_path) == (4, result.checkpoint_path)


def test_checkpoint_to_start_from_that_is_not_used_is_said(trained, tmp_path, images, caplog):
    loop.train(_config(tmp_path, images, max_number_of_steps=1))
    tune = config.FineTuneConfig(checkpoint_path=trained[1].checkpoint_path)
    with caplog.at_level(logging.INFO):
        loop.train(_config(tmp_path, images, max_number_of_steps=2, fine_tune=tune))
    unused = f'--checkpoint_path={tune.checkpoint_path} is not used: {tmp_path} holds a run already'
    assert unused in caplog.text


def test_run_that_never_took_a_step_may_start_otherwise(tmp_path, images):
    settings = _config(tmp_path, images, optimizer='adam', rate=float(np.finfo(np.float32).max))
    with pytest.raises(FloatingPointError):
        loop.train(settings)
    assert loop.train(_config(tmp_path, images, max_number_of_steps=1)).step == 1


def test_fine_tuning_trains_the_new_classifier_and_nothing_else(trained, tmp_path):
    two = tiny_network.make_images(tmp_path / 'images', seed=5)
    os.rename(os.path.join(two, 'stripe'), str(tmp_path / 'gone'))
    tune = config.FineTuneConfig(checkpoint_path=trained[0].train_dir,
                                 checkpoint_exclude_scopes=('tiny/logits',),
                                 trainable_scopes=('tiny/logits',))
    result = loop.train(_config(tmp_path / 'run', two, max_number_of_steps=3, fine_tune=tune))
    before, after = _tensors(trained[1].checkpoint_path), _tensors(result.checkpoint_path)
    assert after['tiny/logits/biases'].shape == (2,)
    assert np.abs(after['tiny/logits/biases']).max() > 0
    kept = [name for name in after if not name.startswith(('tiny/logits', 'global_step', 'run/'))]
    assert len(kept) > 40
    for name in kept:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)


def test_fine_tuning_on_other_classes_names_the_flag_and_writes_nothing(trained, tmp_path):
    two = tiny_network.make_images(tmp_path / 'images')
    os.rename(os.path.join(two, 'stripe'), str(tmp_path / 'gone'))
    tune = config.FineTuneConfig(checkpoint_path=trained[0].train_dir)
    with pytest.raises(ValueError, match='--checkpoint_exclude_scopes=tiny/logits'):
        loop.train(_config(tmp_path / 'run', two, max_number_of_steps=3, fine_tune=tune))
    assert os.listdir(str(tmp_path / 'run')) == []


def test_averages_start_at_the_restored_weights(trained, tmp_path, images):
    tune = config.FineTuneConfig(checkpoint_path=trained[0].train_dir)
    settings = _config(tmp_path, images, rate=0.0, max_number_of_steps=1, fine_tune=tune,
                       moving_average_decay=0.99)
    tensors = _tensors(loop.train(settings).checkpoint_path)
    weights = _tensors(trained[1].checkpoint_path)['tiny/conv1/weights']
    np.testing.assert_allclose(tensors['tiny/conv1/weights/ExponentialMovingAverage'], weights, rtol=1e-6)


@pytest.mark.parametrize(('save_interval_secs', 'what'), [
    (1e9, 'the loss is (nan|inf)'), (0, r'\d+ variables are not finite')])
def test_divergence_names_step_and_last_good_checkpoint(tmp_path, images, save_interval_secs, what):
    settings = _config(tmp_path, images, rate=1e15, max_number_of_steps=50,
                       save_interval_secs=save_interval_secs)
    with pytest.raises(FloatingPointError, match=rf'stopped at step \d+: {what}.*--learning_rate') as error:
        loop.train(settings)
    newest = restore.find_checkpoint(str(tmp_path))
    assert f'The last good checkpoint is {newest}.' in str(error.value)
    for path in tf.train.get_checkpoint_state(str(tmp_path)).all_model_checkpoint_paths:
        assert all(np.isfinite(value).all() for value in _tensors(path).values())
    assert all(math.isfinite(record['loss']) for record in _metrics(tmp_path))


def test_sigterm_ends_the_step_saves_and_gives_the_handlers_back(tmp_path, images, monkeypatch):
    report = reporting.Reporter.step

    def step(self, step, *values, **kwargs):
        report(self, step, *values, **kwargs)
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(reporting.Reporter, 'step', step)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    result = loop.train(_config(tmp_path, images))
    assert (result.step, result.stopped_by) == (2, signal.SIGTERM)
    assert _tensors(result.checkpoint_path)['global_step'] == 2
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_grayscale_network_has_one_input_channel(tmp_path, images):
    settings = _config(tmp_path, images, max_number_of_steps=1)
    settings = dataclasses.replace(settings, data=dataclasses.replace(settings.data, use_grayscale=True))
    assert _tensors(loop.train(settings).checkpoint_path)['tiny/conv1/weights'].shape == (7, 7, 1, 64)


@pytest.mark.parametrize('skip', [False, True])
def test_corrupt_image_is_named_or_skipped(tmp_path, skip):
    folder = tiny_network.make_images(tmp_path / 'images', per_class=4)
    for name in sorted(os.listdir(os.path.join(folder, 'cross'))):
        with open(os.path.join(folder, 'cross', name), 'r+b') as file:
            file.truncate(60)
    settings = _config(tmp_path / 'run', folder, max_number_of_steps=8)
    settings = dataclasses.replace(settings, data=dataclasses.replace(settings.data, skip_corrupt=skip))
    if not skip:
        message = r"^Cannot decode the image '.*cross/00\d\.png': .* damaged or truncated"
        with pytest.raises(ValueError, match=message):
            loop.train(settings)
        return
    result = loop.train(settings)
    assert result.step == 8
    assert result.skipped
    assert all('cross' in name for name in result.skipped)


def test_same_seed_gives_the_same_run(tmp_path, images):
    runs = []
    for name in ('a', 'b'):
        path = loop.train(_config(tmp_path / name, images, max_number_of_steps=3)).checkpoint_path
        runs.append(({key: value.tobytes() for key, value in _tensors(path).items()},
                     [record['loss'] for record in _metrics(tmp_path / name)]))
    assert runs[0] == runs[1]


@pytest.mark.parametrize('optimizer', ['momentum', 'rmsprop'])
def test_interrupted_run_ends_with_the_very_bits_of_an_undisturbed_one(tmp_path, images, optimizer):
    values = {'optimizer': optimizer, 'moving_average_decay': 0.9}
    whole = loop.train(_config(tmp_path / 'whole', images, max_number_of_steps=6, **values))
    for steps, seed in ((2, 3), (3, 99), (6, 99)):  # a resumed run keeps its seed
        parts = loop.train(_config(tmp_path / 'parts', images, max_number_of_steps=steps, **{**values, 'seed': seed}))
    expected, tensors = _tensors(whole.checkpoint_path), _tensors(parts.checkpoint_path)
    assert expected['run/examples'] == 24
    assert {key: value.tobytes() for key, value in tensors.items()} == {
        key: value.tobytes() for key, value in expected.items()}
    losses = [[(record['step'], record['loss']) for record in _metrics(tmp_path / name)] for name in ('whole', 'parts')]
    assert losses[0] == losses[1]


def test_other_batch_size_goes_on_with_the_next_image(tmp_path, images):
    loop.train(_config(tmp_path, images, max_number_of_steps=3))
    settings = _config(tmp_path, images, max_number_of_steps=5)
    settings = dataclasses.replace(settings, data=dataclasses.replace(settings.data, batch_size=2))
    tensors = _tensors(loop.train(settings).checkpoint_path)
    assert tensors['run/examples'] == 3 * 4 + 2 * 2


def test_run_of_slim_is_resumed_by_its_step(tmp_path, images):
    path = loop.train(_config(tmp_path, images, max_number_of_steps=3)).checkpoint_path
    kept = {name: value for name, value in _tensors(path).items() if not name.startswith('run/')}
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [tf.get_variable(name, initializer=value) for name, value in kept.items()]
        session.run(tf.global_variables_initializer())
        tf.train.Saver(variables).save(session, str(tmp_path / 'model.ckpt'), global_step=3)
    assert _tensors(loop.train(_config(tmp_path, images, max_number_of_steps=4)).checkpoint_path)['run/examples'] == 16


def test_best_checkpoint_of_the_evaluations_is_kept(tmp_path, images):
    settings = _config(tmp_path, images, max_number_of_steps=5, eval_every=2, eval_split_name='train')
    loop.train(settings)
    with open(tmp_path / 'eval.jsonl', encoding='utf-8') as file:
        records = [json.loads(line) for line in file]
    assert [record['step'] for record in records] == [2, 4, 5]  # the last step besides
    best = max(records, key=lambda record: (record['top_1'], -record['step']))
    assert validation.read_best(str(tmp_path)) == best
    kept = _tensors(restore.find_checkpoint(str(tmp_path / 'best')))
    assert kept['global_step'] == best['step']
    np.testing.assert_array_equal(kept['tiny/conv1/weights'],
                                  _tensors(str(tmp_path / f'model.ckpt-{best["step"]}'))['tiny/conv1/weights'])


def test_second_process_in_the_same_directory_is_refused(tmp_path, images):
    code = ('import sys\nfrom nets.training import run_lock\n'
            'with run_lock.held(sys.argv[1]):\n    print("held", flush=True)\n    sys.stdin.read()\n')
    with subprocess.Popen([sys.executable, '-c', code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}) as other:
        assert other.stdout.readline() == b'held\n'
        with pytest.raises(ValueError, match='Another process is training in --train_dir'):
            loop.train(_config(tmp_path, images, max_number_of_steps=1))
        other.kill()  # without a chance to clean up
        other.wait()
    assert loop.train(_config(tmp_path, images, max_number_of_steps=1)).step == 1


def test_cached_images_are_the_same_and_their_files_are_not_needed(tmp_path, images, monkeypatch):
    settings = _config(tmp_path / 'a', images, max_number_of_steps=3)
    expected = _tensors(loop.train(settings).checkpoint_path)
    copy = str(tmp_path / 'images')
    shutil.copytree(images, copy)
    build = graph.build_train_graph

    def build_without_files(*args):
        shutil.rmtree(copy)
        return build(*args)

    monkeypatch.setattr(graph, 'build_train_graph', build_without_files)
    settings = dataclasses.replace(settings, train_dir=str(tmp_path / 'b'),
                                   data=dataclasses.replace(settings.data, dataset_dir=copy, cache=True))
    cached = _tensors(loop.train(settings).checkpoint_path)
    assert not os.path.exists(copy)
    for name, value in expected.items():
        np.testing.assert_array_equal(cached[name], value)
