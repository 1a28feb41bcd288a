"""All that a step depends on is in the variables that checkpoints hold: a copy of them goes on with the same bits."""

import pytest
import steps
import tensorflow.compat.v1 as tf


def _take(one, numbers):
    """Takes steps with the batches of those numbers, in micro-batches if there are any; returns their metrics."""
    taken = []
    for number in numbers:
        for part in range(one.config.gradient_accumulation - 1):
            one.accumulate(*steps.examples(8, 100 * number + part))
        taken.append(one.take(*steps.examples(8, 100 * number + 99)))
    return taken


@pytest.mark.parametrize('values', [
    {'optimizer': 'lars', 'mixup_alpha': 0.4, 'batch_size': 16, 'gradient_accumulation': 2, 'nan_policy': 'skip'},
    {'optimizer': 'adamw', 'mixed_precision': 'float16', 'moving_average_decay': 0.9},
    {'optimizer': 'nesterov', 'mixed_precision': 'bfloat16', 'mixup_alpha': 1.0, 'clip_gradient_norm': 0.5}])
def test_restart_goes_on_with_the_same_bits(values, tmp_path):
    settings = steps.settings(seed=5, **values)
    with tf.Graph().as_default():
        one = steps.Steps(settings)
        if settings.mixed_precision == 'float16':
            one.load({'training_state/loss_scale': 2.0 ** 24})  # some of the first steps overflow
        _take(one, range(3))
        path = tf.train.Saver().save(one.session, str(tmp_path / 'model'))
        expected = _take(one, range(3, 6)), one.variables()
    with tf.Graph().as_default():
        one = steps.Steps(settings, seed=2)
        tf.train.Saver().restore(one.session, path)
        metrics, variables = _take(one, range(3, 6)), one.variables()
    assert metrics == expected[0]
    assert steps.changed(expected[1], variables) == set()
    assert variables['global_step'] == 6
