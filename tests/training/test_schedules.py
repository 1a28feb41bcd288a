"""Learning rates against their formulas, written again in NumPy."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.training import config, schedules

EXAMPLES, BATCH = 100, 8
STEPS = (0, 1, 23, 24, 25, 49, 50, 75, 400)


def _rates(**values):
    schedule = config.ScheduleConfig(learning_rate=0.4, **values)
    step = tf.placeholder(tf.int64, [])
    rate = schedules.learning_rate(schedule, step, EXAMPLES, BATCH)
    with tf.Session() as session:
        return [float(session.run(rate, {step: number})) for number in STEPS]


def test_fixed():
    assert _rates(learning_rate_decay_type='fixed') == pytest.approx([0.4] * len(STEPS))


def test_exponential_decays_in_stairs_of_whole_epochs():
    # 2 epochs of 100 images are 25 steps of 8.
    expected = [0.4 * 0.5 ** (step // 25) for step in STEPS]
    rates = _rates(learning_rate_decay_type='exponential', learning_rate_decay_factor=0.5,
                   num_epochs_per_decay=2)
    assert rates == pytest.approx(expected)


def test_polynomial_falls_on_a_line_and_stays():
    expected = [0.4 + (0.1 - 0.4) * min(step, 50) / 50 for step in STEPS]
    rates = _rates(learning_rate_decay_type='polynomial', end_learning_rate=0.1, num_epochs_per_decay=4)
    assert rates == pytest.approx(expected)


def test_warmup_rises_from_zero_and_then_hands_over():
    expected = np.minimum(0.4 * np.array(STEPS) / 50, 0.4)
    assert _rates(learning_rate_decay_type='fixed', warmup_epochs=4) == pytest.approx(list(expected))


@pytest.mark.parametrize(('epochs', 'examples', 'batch', 'steps'), [
    (2, 100, 8, 25), (2, 100, 32, 6), (2.5, 1437, 32, 112), (0.5, 10, 32, 1)])
def test_steps_of_epochs(epochs, examples, batch, steps):
    assert schedules.steps_of(epochs, examples, batch) == steps


def test_unknown_policy_lists_the_known_ones():
    with pytest.raises(ValueError, match="one of exponential, fixed, polynomial; got 'cosine'"):
        schedules.check_policy(config.ScheduleConfig(learning_rate_decay_type='cosine'))
