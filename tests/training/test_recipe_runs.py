"""Whole runs with settings that change the step."""

import dataclasses

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tiny_network

from nets.training import config, loop

PRECISE = {'mixed_precision': 'float16', 'nan_policy': 'skip'}


@pytest.fixture(scope='module')
def settings(tmp_path_factory):
    tiny_network.register()
    images = tiny_network.make_images(tmp_path_factory.mktemp('data') / 'images')
    return config.TrainConfig(
        model_name='tiny', log_every_n_steps=1, seed=3, clone_on_cpu=True,
        data=config.DataConfig(dataset_name='image_folder', dataset_dir=images, batch_size=4,
                               num_preprocessing_threads=1),
        optimizer=config.OptimizerConfig(optimizer='nesterov'),
        schedule=config.ScheduleConfig(learning_rate_decay_type='polynomial', learning_rate=0.01))


def _names(path):
    return set(tf.train.NewCheckpointReader(path).get_variable_to_shape_map())


def test_precision_and_policy_may_change_when_a_run_goes_on(settings, tmp_path):
    names = []
    for steps, values in ((1, {}), (2, PRECISE), (3, {})):
        result = loop.train(dataclasses.replace(settings, train_dir=str(tmp_path), max_number_of_steps=steps, **values))
        assert result.step == steps
        names.append(_names(result.checkpoint_path))
    notes = {f'training_state/{name}' for name in ('loss_scale', 'good_steps', 'skipped_steps')}
    assert names[1] == names[0] | notes
    assert names[2] == names[0]


def test_run_ends_after_epochs_with_accumulated_gradients(settings, tmp_path):
    run = dataclasses.replace(settings, train_dir=str(tmp_path), max_number_of_epochs=1.5, gradient_accumulation=2,
                              mixup_alpha=0.2)
    # 17 of the 24 images are to train on; 1.5 times 17 images are 6 batches of 4.
    assert loop.train(run).step == 6


def test_too_many_skipped_steps_end_the_run_with_their_images(settings, tmp_path):
    run = dataclasses.replace(
        settings, train_dir=str(tmp_path), max_number_of_steps=20, nan_policy='skip', max_skipped_steps=2,
        schedule=config.ScheduleConfig(learning_rate_decay_type='fixed', learning_rate=float(np.finfo(np.float32).max)))
    with pytest.raises(FloatingPointError, match=r'stopped at step \d: 3 steps were skipped.*images .*\d\.png'):
        loop.train(run)
