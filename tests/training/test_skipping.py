"""Steps whose numbers are not finite: skipped without a trace, or the end of the run."""

import numpy as np
import pytest
import steps
import tensorflow.compat.v1 as tf

COUNTERS = {'global_step', 'training_state/skipped_steps'}


def _bad(images):
    """The images, one value of which is NaN."""
    images = images.copy()
    images[0, 0, 0, 0] = np.nan
    return images


@pytest.mark.parametrize('values', [
    {'optimizer': 'adam', 'moving_average_decay': 0.9}, {'optimizer': 'lars', 'clip_gradient_norm': 1.0},
    {'optimizer': 'rmsprop', 'mixup_alpha': 0.2}, {'optimizer': 'adamw', 'mixed_precision': 'bfloat16'}])
def test_skipped_step_leaves_every_variable_as_it_was(values):
    one = steps.Steps(steps.settings(nan_policy='skip', **values))
    images, labels = steps.examples(8)
    one.take(images, labels)
    before = one.variables()
    metrics = one.take(_bad(images), labels)
    assert np.isnan(metrics['loss'])
    assert metrics['skipped'] == 1
    assert steps.changed(before, one.variables()) == COUNTERS
    assert one.variables()['global_step'] == 2
    good = one.take(images, labels)
    assert np.isfinite(good['loss'])
    assert good['skipped'] == 1
    changed = steps.changed(before, one.variables())
    assert set(before) - changed == set()


def test_good_steps_are_those_without_the_policy():
    results = []
    for policy in ('stop', 'skip'):
        with tf.Graph().as_default():
            one = steps.Steps(steps.settings(nan_policy=policy, optimizer='adam', moving_average_decay=0.9),
                              weights=results and results[0][0])
            start = one.variables()
            for step in range(3):
                one.take(*steps.examples(8, step))
            results.append((start, one.variables()))
    (_, expected), (_, got) = results
    assert set(got) - set(expected) == {'training_state/skipped_steps'}
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


@pytest.mark.parametrize('bad', range(3))
def test_one_bad_micro_batch_takes_the_whole_step_back(bad):
    one = steps.Steps(steps.settings(batch_size=24, gradient_accumulation=3, nan_policy='skip',
                                     moving_average_decay=0.9))
    parts = [steps.examples(8, number) for number in range(3)]

    def take(parts):
        for part in parts[:-1]:
            one.accumulate(*part)
        return one.take(*parts[-1])

    take(parts)
    before = one.variables()
    take([(_bad(images) if number == bad else images, labels) for number, (images, labels) in enumerate(parts)])
    assert steps.changed(before, one.variables()) == COUNTERS
    take(parts)
    assert 'net/conv1/BatchNorm/moving_mean' in steps.changed(before, one.variables())


def test_gradient_that_is_not_finite_is_skipped_even_if_the_loss_is():
    # Another worker's gradients overflow.
    def reduce(tensors):
        return [tensors[0] * np.inf, *tensors[1:]]

    one = steps.Steps(steps.settings(nan_policy='skip'), reduce=reduce)
    before = one.variables()
    metrics = one.take(*steps.examples(8))
    assert np.isfinite(metrics['loss'])
    assert metrics['skipped'] == 1
    assert steps.changed(before, one.variables()) == COUNTERS


def test_all_workers_skip_by_the_loss_of_all():
    def reduce(tensors):
        return [tensor + np.nan if tensor.shape.ndims == 0 else tensor for tensor in tensors]

    one = steps.Steps(steps.settings(nan_policy='skip'), reduce=reduce)
    assert one.take(*steps.examples(8))['skipped'] == 1


def test_policy_stop_has_neither_counter_nor_metric():
    one = steps.Steps(steps.settings())
    assert list(one.take(*steps.examples(8))) == ['loss', 'cross_entropy', 'learning_rate']
    assert 'training_state/skipped_steps' not in one.variables()


def test_what_workers_share_is_reduced_at_once():
    calls = []

    def reduce(tensors):
        calls.append(len(tensors))
        assert all(tensor.dtype == tf.float32 and tensor.shape.is_fully_defined() for tensor in tensors)
        return [tensor * 0.5 for tensor in tensors]

    one = steps.Steps(steps.settings('sgd', rate=1.0, weight_decay=0.0, clip_gradient_norm=1e9), reduce=reduce)
    # Gradients, both losses, and the statistics of batch norm.
    assert calls == [len(tf.trainable_variables()) + 2 + 4]
    before = one.variables()
    metrics, after = one.take(*steps.examples(8)), one.variables()
    squares = [((before[one.op.name] - after[one.op.name]) ** 2).sum() for one in tf.trainable_variables()]
    assert np.sqrt(sum(squares)) == pytest.approx(metrics['gradient_norm'], rel=1e-4)
    with tf.Graph().as_default():
        alone = steps.Steps(one.config, weights=before).take(*steps.examples(8))
    assert metrics['loss'] == pytest.approx(alone['loss'] / 2, rel=1e-5)
    assert metrics['gradient_norm'] == pytest.approx(alone['gradient_norm'] / 2, rel=1e-5)
