"""Configurations: slim's defaults, and values that cannot work are refused with their name."""

import dataclasses

import pytest

from nets.training import config

# slim's train_image_classifier.py and eval_image_classifier.py. Where num_epochs_per_decay is None, rates decay as with
# slim's 2.0: see test_schedules.
SLIM_TRAIN_DEFAULTS = {
    'train_dir': '/tmp/tfmodel/', 'weight_decay': 0.00004, 'label_smoothing': 0.0,
    'moving_average_decay': None,
    'max_number_of_steps': None, 'log_every_n_steps': 10, 'save_summaries_secs': 600,
    'save_interval_secs': 600,
    'optimizer.optimizer': 'rmsprop', 'optimizer.adadelta_rho': 0.95, 'optimizer.adam_beta1': 0.9,
    'optimizer.adagrad_initial_accumulator_value': 0.1, 'optimizer.adam_beta2': 0.999,
    'optimizer.opt_epsilon': 1.0,
    'optimizer.ftrl_learning_rate_power': -0.5, 'optimizer.ftrl_initial_accumulator_value': 0.1,
    'optimizer.ftrl_l1': 0.0, 'optimizer.ftrl_l2': 0.0, 'optimizer.momentum': 0.9,
    'optimizer.rmsprop_momentum': 0.9, 'optimizer.rmsprop_decay': 0.9,
    'schedule.learning_rate_decay_type': 'exponential', 'schedule.learning_rate': 0.01,
    'schedule.end_learning_rate': 0.0001, 'schedule.learning_rate_decay_factor': 0.94,
    'schedule.num_epochs_per_decay': None, 'data.dataset_name': 'imagenet', 'data.dataset_split_name': 'train',
    'data.dataset_dir': None, 'data.labels_offset': 0, 'data.preprocessing_name': None, 'data.batch_size': 32,
    'data.image_size': None, 'data.num_preprocessing_threads': 4, 'fine_tune.checkpoint_path': None,
    'fine_tune.ignore_missing_vars': False,
}
SLIM_EVAL_DEFAULTS = {
    'checkpoint_path': '/tmp/tfmodel/', 'eval_dir': '/tmp/tfmodel/', 'max_num_batches': None,
    'moving_average_decay': None, 'data.batch_size': 100, 'data.dataset_split_name': 'test',
    'data.dataset_name': 'imagenet', 'data.labels_offset': 0, 'data.image_size': None,
    'data.num_preprocessing_threads': 4,
}


def _get(value, path):
    for name in path.split('.'):
        value = getattr(value, name)
    return value


@pytest.mark.parametrize(('defaults', 'slim'), [(config.TrainConfig(), SLIM_TRAIN_DEFAULTS),
                                                (config.EvalConfig(), SLIM_EVAL_DEFAULTS)])
def test_defaults_are_those_of_slim(defaults, slim):
    assert {path: _get(defaults, path) for path in slim} == slim


@pytest.mark.parametrize(('kind', 'values', 'message'), [
    (config.DataConfig, {'batch_size': 0}, 'batch_size must be at least 1; got 0'),
    (config.DataConfig, {'labels_offset': -1}, 'labels_offset must be at least 0; got -1'),
    (config.DataConfig, {'image_size': 0}, 'image_size must be at least 1; got 0'),
    (config.ScheduleConfig, {'learning_rate': float('nan')}, 'learning_rate must be at least 0; got nan'),
    (config.ScheduleConfig, {'num_epochs_per_decay': 0}, 'num_epochs_per_decay must be above 0 and finite; got 0'),
    (config.ScheduleConfig, {'learning_rate_decay_type': 'piecewise'}, 'piecewise needs learning_rate_boundaries'),
    (config.ScheduleConfig, {'learning_rate_boundaries': (9, 9)}, r'must be epochs above 0, ascending; got \(9, 9\)'),
    (config.ScheduleConfig, {'learning_rate_boundaries': (0, 30)}, 'must be epochs above 0, ascending'),
    (config.ScheduleConfig, {'learning_rate_boundaries': (30, float('nan'))}, 'must be epochs above 0, ascending'),
    (config.ScheduleConfig, {'learning_rate_boundaries': (30,), 'learning_rate_values': (0.1, 0.2)},
     'one for each of the 1 learning_rate_boundaries'),
    (config.ScheduleConfig, {'learning_rate_boundaries': (30,), 'learning_rate_values': (-0.1,)},
     'learning_rate_values must be rates of at least 0'),
    (config.OptimizerConfig, {'lars_coefficient': 0.0}, 'lars_coefficient must be above 0 and finite; got 0.0'),
    (config.OptimizerConfig, {'adamw_epsilon': -1.0}, 'adamw_epsilon must be at least 0; got -1.0'),
    (config.TrainConfig, {'mixup_alpha': float('inf')}, 'mixup_alpha must be at least 0; got inf'),
    (config.TrainConfig, {'clip_gradient_norm': 0.0}, 'clip_gradient_norm must be above 0 and finite; got 0.0'),
    (config.TrainConfig, {'gradient_accumulation': 0}, 'gradient_accumulation must be at least 1; got 0'),
    (config.TrainConfig, {'gradient_accumulation': 5}, 'batch_size must be a multiple of 5'),
    (config.TrainConfig, {'mixed_precision': 'int8'}, "must be one of None, float16, bfloat16; got 'int8'"),
    (config.TrainConfig, {'nan_policy': 'ignore'}, "nan_policy must be one of stop, skip; got 'ignore'"),
    (config.TrainConfig, {'max_skipped_steps': -1}, 'max_skipped_steps must be at least 0; got -1'),
    (config.TrainConfig, {'max_number_of_epochs': 0.0}, 'max_number_of_epochs must be above 0 and finite; got 0.0'),
    (config.TrainConfig, {'max_number_of_epochs': 1.0, 'max_number_of_steps': 1}, 'not both; got 1 and 1.0'),
    (config.TrainConfig, {'label_smoothing': 1.0}, 'label_smoothing must be at least 0 and below 1; got 1.0'),
    (config.TrainConfig, {'moving_average_decay': 1.0}, 'moving_average_decay must be above 0 and below 1; '
                                                        'got 1.0'),
    (config.TrainConfig, {'batch_norm_decay': 0.0}, 'batch_norm_decay must be above 0 and below 1; got 0.0'),
    (config.TrainConfig, {'max_number_of_steps': 0}, 'max_number_of_steps must be at least 1; got 0'),
    (config.TrainConfig, {'save_interval_secs': -1}, 'save_interval_secs must be at least 0; got -1'),
    (config.EvalConfig, {'max_num_batches': 0}, 'max_num_batches must be at least 1; got 0'),
])
def test_values_that_cannot_work_are_refused(kind, values, message):
    with pytest.raises(ValueError, match=message):
        kind(**values)


def test_configurations_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.TrainConfig().weight_decay = 1.0
