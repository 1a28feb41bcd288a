"""Gradients of micro-batches add up to those of their batch."""

import numpy as np
import pytest
import steps
import tensorflow.compat.v1 as tf

from nets.training import config
from nets.training.accumulation import Accumulator


def _parts(images, labels, number):
    return zip(np.split(images, number), np.split(labels, number), strict=True)


def _trained(number, weights=None, num_steps=3, is_training=False, **values):
    """Metrics of each step, and all variables after them, of batches of 32 in so many parts."""
    with tf.Graph().as_default():
        one = steps.Steps(steps.settings(batch_size=32, gradient_accumulation=number, **values), is_training, weights)
        metrics, start = [], one.variables()
        for step in range(num_steps):
            *first, last = _parts(*steps.examples(32, step), number)
            for part in first:
                one.accumulate(*part)
            metrics.append(one.take(*last))
        return metrics, start, one.variables()


@pytest.mark.parametrize('values', [
    {}, {'nan_policy': 'skip'}, {'clip_gradient_norm': 0.5, 'moving_average_decay': 0.9, 'optimizer': 'lars'}])
def test_four_times_eight_is_thirty_two(values):
    expected, start, whole = _trained(1, **values)
    metrics, _, parts = _trained(4, start, **values)
    assert steps.changed(start, whole) >= {'net/conv1/weights', 'net/conv2/BatchNorm/gamma'}
    for name, value in whole.items():
        np.testing.assert_allclose(parts[name], value, rtol=1e-6, atol=1e-6, err_msg=name)
    assert list(metrics[0]) == list(expected[0])
    for got, wanted in zip(metrics, expected, strict=True):
        np.testing.assert_allclose(list(got.values()), list(wanted.values()), rtol=1e-5)
    assert whole['global_step'] == 3


@pytest.mark.parametrize('nan_policy', ['stop', 'skip'])
def test_statistics_move_with_each_micro_batch(nan_policy):
    # With a rate of 0 the statistics after 4 micro-batches are those after 4 steps.
    _, start, alone = _trained(1, num_steps=1, is_training=True, rate=0.0)
    name = 'net/conv1/BatchNorm/moving_mean'
    _, _, parts = _trained(4, start, num_steps=1, is_training=True, rate=0.0, nan_policy=nan_policy)
    with tf.Graph().as_default():
        one = steps.Steps(steps.settings(rate=0.0), True, start)
        for part in _parts(*steps.examples(32, 0), 4):
            one.take(*part)
        np.testing.assert_array_equal(parts[name], one.variables()[name])
    assert np.abs(parts[name] - alone[name]).max() > 1e-3


def test_means_and_reset():
    value = tf.placeholder(tf.float32, [2])
    accumulator = Accumulator()
    mean, = accumulator.mean([value])
    add, reset = accumulator.add([]), accumulator.reset()
    with tf.Session() as session:
        session.run(tf.local_variables_initializer())
        session.run(add, {value: [1, 2]})
        session.run(add, {value: [3, 4]})
        assert session.run(mean, {value: [5, 9]}).tolist() == [3, 5]
        session.run(reset)
        assert session.run(mean, {value: [5, 9]}).tolist() == [5, 9]
    assert not tf.global_variables()


@pytest.mark.parametrize(('workers', 'size'), [(1, 8), (2, 4), (4, 2)])
def test_micro_batches_divide_the_batch(workers, size):
    assert config.micro_batch_size(steps.settings(batch_size=32, gradient_accumulation=4), workers) == size


def test_batch_that_cannot_be_divided_is_refused():
    message = r'batch_size must be a multiple of 12 for 4 worker\(s\) that take 3 micro-batch\(es\) each; got 30'
    with pytest.raises(ValueError, match=message):
        config.micro_batch_size(steps.settings(batch_size=30, gradient_accumulation=3), 4)
    with pytest.raises(ValueError, match='batch_size must be a multiple of 4'):
        steps.settings(batch_size=30, gradient_accumulation=4)
