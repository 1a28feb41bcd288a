"""Computing in 16 bits: what is computed in which type, that it trains, and how the loss scale moves."""

import numpy as np
import pytest
import steps
import tensorflow.compat.v1 as tf

from nets.training import mixed_precision

HALF = ('bfloat16', 'float16')
# Half the distance from 1 to the next number.
ROUNDING = {'bfloat16': 2.0 ** -8, 'float16': 2.0 ** -11}
SCALE, GOOD, SKIPPED = (f'training_state/{name}' for name in ('loss_scale', 'good_steps', 'skipped_steps'))


def _start(**values):
    """All variables of a new float32 run."""
    with tf.Graph().as_default():
        return steps.Steps(steps.settings(**values)).variables()


@pytest.mark.parametrize('dtype', HALF)
def test_network_computes_in_the_type_and_keeps_float32_where_it_matters(dtype):
    one = steps.Steps(steps.settings(mixed_precision=dtype, weight_decay=0.1))
    by_type = {}
    for operation in tf.get_default_graph().get_operations():
        by_type.setdefault(operation.type, []).append(operation)
    forward_and_backward = [*by_type['Conv2D'], *by_type['Conv2DBackpropFilter'], *by_type['Relu']]
    assert {operation.outputs[0].dtype.name for operation in forward_and_backward} == {dtype}
    for operation in by_type['FusedBatchNormV3']:
        assert [tensor.dtype.name for tensor in operation.outputs[:3]] == [dtype, 'float32', 'float32']
    for kind in ('SoftmaxCrossEntropyWithLogits', 'L2Loss'):
        assert {operation.inputs[0].dtype for operation in by_type[kind]} == {tf.float32}
    assert all(metric.dtype == tf.float32 for metric in one.built.metrics.values())


@pytest.mark.parametrize('dtype', HALF)
def test_checkpoint_is_that_of_float32(dtype, tmp_path):
    held = {}
    for kind in (None, dtype):
        with tf.Graph().as_default():
            one = steps.Steps(steps.settings(mixed_precision=kind, moving_average_decay=0.9))
            path = tf.train.Saver(tf.global_variables()).save(one.session, str(tmp_path / str(kind)))
        reader = tf.train.NewCheckpointReader(path)
        types = reader.get_variable_to_dtype_map()
        held[kind] = {name: (shape, types[name]) for name, shape in reader.get_variable_to_shape_map().items()}
    state = {SCALE: ([], tf.float32), GOOD: ([], tf.int64), SKIPPED: ([], tf.int64)} if dtype == 'float16' else {}
    assert held[dtype] == {**held[None], **state}


@pytest.mark.parametrize('dtype', HALF)
def test_a_step_agrees_with_float32(dtype):
    values = {'optimizer': 'sgd', 'rate': 1.0, 'weight_decay': 0.01}
    start, images = _start(**values), steps.examples(32)
    got = {}
    for kind in (None, dtype):
        with tf.Graph().as_default():
            one = steps.Steps(steps.settings(mixed_precision=kind, **values), weights=start)
            metrics = one.take(*images)
            got[kind] = one.variables(), metrics
            trained = [one.op.name for one in tf.trainable_variables()]
    # The regularization is of the variables themselves.
    losses = [metrics['loss'] - metrics['cross_entropy'] for _, metrics in got.values()]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    entropies = [metrics['cross_entropy'] for _, metrics in got.values()]
    assert entropies[1] == pytest.approx(entropies[0], rel=2 * ROUNDING[dtype])
    # The path from images to gradients rounds about as often as it has layers, there and back.
    for names in (['net/conv1/BatchNorm/moving_mean'], ['net/conv2/BatchNorm/moving_variance'],
                  trained):
        update, wanted = (np.concatenate([(got[kind][0][name] - start[name]).ravel() for name in names])
                          for kind in (dtype, None))
        assert np.linalg.norm(update - wanted) < 12 * ROUNDING[dtype] * np.linalg.norm(wanted), names
        assert np.linalg.norm(update - wanted) > 0


@pytest.mark.parametrize('dtype', [None, *HALF])
def test_training_learns(dtype):
    one = steps.Steps(steps.settings(mixed_precision=dtype, rate=0.1))
    entropies = [one.take(*steps.examples(16, seed))['cross_entropy'] for seed in range(30)]
    assert np.mean(entropies[-5:]) < 0.4 * np.mean(entropies[:3])
    assert entropies[0] == pytest.approx(1.1, abs=1)


def test_overflow_halves_the_scale_and_skips_the_step_until_it_fits():
    one = steps.Steps(steps.settings(mixed_precision='float16', optimizer='adam', moving_average_decay=0.9))
    one.load({SCALE: np.float32(2.0 ** 24), GOOD: 5})
    start, images = one.variables(), steps.examples(8)
    metrics = one.take(*images)
    assert np.isfinite(metrics['loss'])
    assert metrics['loss_scale'] == 2.0 ** 24
    after = one.variables()
    assert steps.changed(start, after) == {'global_step', SCALE, GOOD}
    assert (after[SCALE], after[GOOD], after[SKIPPED]) == (2.0 ** 23, 0, 0)
    for _ in range(10):
        before = one.variables()[SCALE]
        one.take(*images)
        after = one.variables()
        if after[SCALE] == before:
            break
    assert 2.0 ** 16 <= after[SCALE] < 2.0 ** 23
    assert after[GOOD] == 1
    assert {'net/conv1/weights', 'net/conv1/weights/Adam', 'net/conv1/BatchNorm/moving_mean',
            'net/conv1/weights/ExponentialMovingAverage'} <= steps.changed(start, after)


def test_scale_grows_after_good_steps_in_a_row_within_its_bounds():
    scale, finite = mixed_precision.LossScale(growth_steps=3), tf.placeholder(tf.bool, [])
    update = scale.update(finite)
    seen = []
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for good in [1, 1, 0, 1, 1, 1, 1] + [0] * 20 + [1] * 100:
            session.run(update, {finite: bool(good)})
            seen.append(session.run(scale.value))
    first = 2.0 ** 15
    assert seen[:8] == [first, first, first / 2, first / 2, first / 2, first, first, first / 2]
    assert seen[26] == 1
    assert seen[27:30] == [1, 1, 2]
    assert seen[-1] == 2.0 ** 24


def test_loss_that_is_not_finite_says_nothing_about_the_scale():
    one = steps.Steps(steps.settings(mixed_precision='float16'))
    images, labels = steps.examples(8)
    images[0] = np.nan
    before = one.variables()
    assert np.isnan(one.take(images, labels)['loss'])
    assert steps.changed(before, one.variables()) == {'global_step', SKIPPED}


@pytest.mark.parametrize('policy', ['stop', 'skip'])
def test_gradients_that_no_scale_makes_finite_are_not_passed_over(policy):
    def reduce(tensors):
        return [tensors[0] + np.nan, *tensors[1:]]

    one = steps.Steps(steps.settings(mixed_precision='float16', nan_policy=policy), reduce=reduce)
    one.load({SCALE: np.float32(2)})
    first, second = (one.take(*steps.examples(8)) for _ in range(2))
    assert np.isfinite(first['loss'])
    if policy == 'stop':
        assert np.isnan(second['loss'])
        assert 'skipped' not in second
    else:
        assert np.isfinite(second['loss'])
        assert (first['skipped'], second['skipped']) == (0, 1)
    assert one.variables()[SCALE] == 1
