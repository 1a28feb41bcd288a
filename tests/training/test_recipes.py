"""Recipes: their values are those of their sources, and give way to what is given."""

import dataclasses

import pytest
import tensorflow.compat.v1 as tf

from nets.training import config, recipes, schedules


def _configured(settings):
    """The configuration that has them."""
    parts, own = {}, {}
    for target, value in settings.items():
        part, _, field = target.rpartition('.')
        (parts.setdefault(part, {}) if part else own)[field] = value
    default = config.TrainConfig()
    own.update({part: dataclasses.replace(getattr(default, part), **fields) for part, fields in parts.items()})
    return dataclasses.replace(default, **own)


def test_recipe_slim_is_the_defaults():
    plain, made = config.TrainConfig(), _configured(recipes.settings('slim', None))
    assert made.schedule.num_epochs_per_decay == 2.0
    assert dataclasses.replace(made, schedule=plain.schedule) == plain
    assert dataclasses.replace(made.schedule, num_epochs_per_decay=None) == plain.schedule


def _rates(settings, num_examples, steps):
    step = tf.placeholder(tf.int64, [])
    rate = schedules.learning_rate(settings.schedule, step, num_examples, settings.data.batch_size,
                                   settings.max_number_of_steps)
    with tf.Session() as session:
        return [float(session.run(rate, {step: number})) for number in steps]


@pytest.mark.parametrize('batch_size', [256, 64, 8192])
def test_rates_of_resnet50_90_are_those_of_the_paper(batch_size):
    settings = _configured({**recipes.settings('resnet50_90', batch_size), 'data.batch_size': batch_size})
    examples = 10 * batch_size  # 10 steps an epoch
    settings = schedules.with_steps(settings, examples)
    base = 0.1 * batch_size / 256
    assert settings.max_number_of_steps == 900
    rates = _rates(settings, examples, (0, 25, 50, 299, 300, 599, 600, 799, 800, 899))
    assert rates == pytest.approx([0, base / 2, *[base] * 2, *[base / 10] * 2, *[base / 100] * 2, *[base / 1000] * 2])
    assert (settings.optimizer.optimizer, settings.optimizer.momentum) == ('nesterov', 0.9)
    assert (settings.weight_decay, settings.zero_last_gamma, settings.label_smoothing) == (1e-4, True, 0)


def test_rates_of_finetune_rise_and_fall_to_zero():
    settings = schedules.with_steps(_configured(recipes.settings('finetune', None)), 320)
    rates = _rates(settings, 320, (0, 5, 10, 150, 300))
    assert settings.max_number_of_steps == 300
    assert rates == pytest.approx([0, 0.000625, 0.00125 * 0.99726, 0.000625, 0], rel=1e-4, abs=1e-9)


@pytest.mark.parametrize('name', recipes.RECIPES)
def test_every_setting_gives_way(name):
    everything = recipes.settings(name, None)
    for field in everything:
        left = recipes.settings(name, None, {field})
        assert left == {key: value for key, value in everything.items() if key != field}


def test_epochs_give_way_to_steps():
    assert 'max_number_of_epochs' not in recipes.settings('finetune', None, {'max_number_of_steps'})


def test_unknown_recipe_lists_the_known_ones():
    with pytest.raises(ValueError, match="recipe must be one of slim, resnet50_90, finetune; got 'pizza'"):
        recipes.settings('pizza', None)
