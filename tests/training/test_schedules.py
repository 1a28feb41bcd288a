"""Learning rates against their formulas, written again in NumPy."""

import math

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.training import config, schedules

EXAMPLES, BATCH = 100, 8
STEPS = (0, 1, 23, 24, 25, 49, 50, 75, 400)


def _rates(total_steps=None, **values):
    schedule = config.ScheduleConfig(learning_rate=0.4, **values)
    step = tf.placeholder(tf.int64, [])
    rate = schedules.learning_rate(schedule, step, EXAMPLES, BATCH, total_steps)
    assert rate.dtype == tf.float32
    with tf.Session() as session:
        return [float(session.run(rate, {step: number})) for number in STEPS]


def test_fixed():
    assert _rates(learning_rate_decay_type='fixed') == pytest.approx([0.4] * len(STEPS))


@pytest.mark.parametrize('epochs', [{}, {'num_epochs_per_decay': 2}])
def test_exponential_decays_in_stairs_of_whole_epochs(epochs):
    # 2 epochs of 100 images, slim's default, are 25 steps of 8.
    expected = [0.4 * 0.5 ** (step // 25) for step in STEPS]
    rates = _rates(learning_rate_decay_type='exponential', learning_rate_decay_factor=0.5, **epochs)
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize(('steps', 'epochs'), [(25, {}), (50, {'num_epochs_per_decay': 4})])
def test_polynomial_falls_on_a_line_and_stays(steps, epochs):
    expected = [0.4 + (0.1 - 0.4) * min(step, steps) / steps for step in STEPS]
    assert _rates(learning_rate_decay_type='polynomial', end_learning_rate=0.1, **epochs) == pytest.approx(expected)


def test_poly_falls_as_a_power_of_what_is_left_of_the_run():
    expected = [0.4 * max(0, 1 - step / 60) ** 0.9 for step in STEPS]
    rates = _rates(60, learning_rate_decay_type='poly', end_learning_rate=0.0)
    assert rates == pytest.approx(expected)


def test_poly_without_end_says_what_is_missing():
    schedule = config.ScheduleConfig(learning_rate_decay_type='poly')
    with pytest.raises(ValueError, match='poly needs an end: give max_number_of_epochs or max_number_of_steps'):
        config.TrainConfig(schedule=schedule)


@pytest.mark.parametrize(('steps', 'total_steps', 'epochs'), [
    (60, 60, {}), (50, None, {'num_epochs_per_decay': 4}), (50, 60, {'num_epochs_per_decay': 4})])
def test_cosine_falls_for_half_a_period_and_stays(steps, total_steps, epochs):
    expected = [0.1 + 0.15 * (1 + math.cos(math.pi * min(step, steps) / steps)) for step in STEPS]
    rates = _rates(total_steps, learning_rate_decay_type='cosine', end_learning_rate=0.1, **epochs)
    assert rates == pytest.approx(expected)


def test_cosine_without_end_says_what_is_missing():
    with pytest.raises(ValueError, match='cosine needs an end: give max_number_of_epochs'):
        _rates(learning_rate_decay_type='cosine')
    schedule = config.ScheduleConfig(learning_rate_decay_type='cosine')
    with pytest.raises(ValueError, match='cosine needs an end: give max_number_of_epochs'):
        config.TrainConfig(schedule=schedule)
    config.TrainConfig(schedule=schedule, max_number_of_epochs=3)


@pytest.mark.parametrize(('values', 'rates'), [
    ({'learning_rate_values': (0.3, 0.05)}, (0.4, 0.3, 0.05)),
    ({'learning_rate_decay_factor': 0.5}, (0.4, 0.2, 0.1))])
def test_piecewise_changes_at_the_boundaries(values, rates):
    # Steps 24 (1.95 epochs, rounded down) and 50 are the first with the next rate.
    expected = [rates[0] if step < 24 else rates[1] if step < 50 else rates[2] for step in STEPS]
    got = _rates(learning_rate_decay_type='piecewise', learning_rate_boundaries=(1.95, 4.0), **values)
    assert got == pytest.approx(expected)


@pytest.mark.parametrize('policy', sorted(schedules.POLICIES))
def test_warmup_rises_from_zero_and_then_hands_over(policy):
    values = {'learning_rate_decay_type': policy, 'learning_rate_boundaries': (6.0,)}
    expected = np.minimum(0.4 * np.array(STEPS) / 50, _rates(60, **values))
    assert _rates(60, warmup_epochs=4, **values) == pytest.approx(list(expected))


@pytest.mark.parametrize(('epochs', 'examples', 'batch', 'steps'), [
    (2, 100, 8, 25), (2, 100, 32, 6), (2.5, 1437, 32, 112), (0.5, 10, 32, 1)])
def test_steps_of_epochs(epochs, examples, batch, steps):
    assert schedules.steps_of(epochs, examples, batch) == steps


def test_epochs_beyond_counting_are_refused():
    with pytest.raises(ValueError, match=r'1e\+300 epochs of 100 images are more than 2\*\*31 steps'):
        schedules.steps_of(1e300, 100, 8)
    with pytest.raises(ValueError, match='epochs of 100 images are more than'):
        _rates(learning_rate_decay_type='piecewise', learning_rate_boundaries=(1e300,))


def test_run_of_epochs_ends_at_a_step():
    data = config.DataConfig(batch_size=BATCH)
    ends = [schedules.with_steps(config.TrainConfig(data=data, **end), EXAMPLES) for end in (
        {'max_number_of_epochs': 2}, {'max_number_of_steps': 7}, {})]
    assert [(end.max_number_of_steps, end.max_number_of_epochs) for end in ends] == [
        (25, None), (7, None), (None, None)]


def test_unknown_policy_lists_the_known_ones():
    with pytest.raises(ValueError, match="exponential, fixed, piecewise, poly, polynomial; got 'stairs'"):
        schedules.check_policy(config.ScheduleConfig(learning_rate_decay_type='stairs'))
