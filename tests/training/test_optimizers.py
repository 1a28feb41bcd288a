"""Every optimizer, with its constants from the configuration, against its update rule in NumPy, in float64."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.training import config, optimizers

# Constants are sums of few powers of 2: TensorFlow passes some of them through float32.
RATE, DECAY, STEPS = 0.125, 0.0625, 5
WEIGHTS, BIASES = np.array([[1.0, -2.0], [0.5, 0.25]]), np.array([1.0, -0.5])
C = config.OptimizerConfig(
    adadelta_rho=0.75, adagrad_initial_accumulator_value=0.25, adam_beta1=0.75, adam_beta2=0.875,
    opt_epsilon=0.0078125, adamw_epsilon=0.0009765625,
    ftrl_learning_rate_power=-0.375, ftrl_initial_accumulator_value=0.1875, ftrl_l1=0.015625, ftrl_l2=0.03125,
    lars_coefficient=0.5, momentum=0.625, rmsprop_momentum=0.5, rmsprop_decay=0.875)


# Rules: functions of variable, gradient, state and weight decay (0 for biases).
def _adadelta(x, g, s, decay):
    s['a'] = C.adadelta_rho * s.get('a', 0) + (1 - C.adadelta_rho) * g * g
    update = np.sqrt(s.get('d', 0) + C.opt_epsilon) / np.sqrt(s['a'] + C.opt_epsilon) * g
    s['d'] = C.adadelta_rho * s.get('d', 0) + (1 - C.adadelta_rho) * update * update
    return x - RATE * update


def _adagrad(x, g, s, decay):
    s['a'] = s.get('a', C.adagrad_initial_accumulator_value) + g * g
    return x - RATE * g / np.sqrt(s['a'])


def _adam_moments(g, s):
    """Both moments, and what the rates are corrected by."""
    s['t'] = s.get('t', 0) + 1
    s['m'] = C.adam_beta1 * s.get('m', 0) + (1 - C.adam_beta1) * g
    s['v'] = C.adam_beta2 * s.get('v', 0) + (1 - C.adam_beta2) * g * g
    return s['m'], s['v'], 1 - C.adam_beta1 ** s['t'], 1 - C.adam_beta2 ** s['t']


def _adam(x, g, s, decay):
    mean, square, correction1, correction2 = _adam_moments(g, s)
    return x - RATE * np.sqrt(correction2) / correction1 * mean / (np.sqrt(square) + C.opt_epsilon)


def _adamw(x, g, s, decay):
    # Loshchilov and Hutter 2019, algorithm 2, but for epsilon, which Kingma and Ba 2015, section 2, scale as here.
    mean, square, correction1, correction2 = _adam_moments(g, s)
    adaptive = (mean / correction1) / (np.sqrt(square / correction2) + C.adamw_epsilon / np.sqrt(correction2))
    return x - RATE * (adaptive + decay * x)


def _ftrl(x, g, s, decay):
    old = s.get('a', np.full_like(x, C.ftrl_initial_accumulator_value))
    s['a'] = old + g * g
    power = -C.ftrl_learning_rate_power
    s['l'] = s.get('l', 0) + g - (s['a'] ** power - old ** power) / RATE * x
    scale = s['a'] ** power / RATE + 2 * C.ftrl_l2
    return np.where(np.abs(s['l']) > C.ftrl_l1, (np.sign(s['l']) * C.ftrl_l1 - s['l']) / scale, 0.0)


def _lars(x, g, s, decay):
    # You et al. 2017, algorithm 1.
    norm, gradient_norm = np.linalg.norm(x), np.linalg.norm(g)
    local = C.lars_coefficient * norm / (gradient_norm + decay * norm) if decay else 1
    s['v'] = C.momentum * s.get('v', 0) + RATE * local * (g + decay * x)
    return x - s['v']


def _momentum(x, g, s, decay):
    s['m'] = C.momentum * s.get('m', 0) + g
    return x - RATE * s['m']


def _nesterov(x, g, s, decay):
    # Sutskever et al. 2013, equations 3 and 4, in terms of the point at which the gradient is taken.
    old = s.get('v', 0)
    s['v'] = C.momentum * old - RATE * g
    return x - C.momentum * old + (1 + C.momentum) * s['v']


def _rmsprop(x, g, s, decay):
    s['a'] = C.rmsprop_decay * s.get('a', 1.0) + (1 - C.rmsprop_decay) * g * g
    s['m'] = C.rmsprop_momentum * s.get('m', 0) + RATE * g / np.sqrt(s['a'] + C.opt_epsilon)
    return x - s['m']


def _sgd(x, g, s, decay):
    return x - RATE * g


RULES = {'adadelta': _adadelta, 'adagrad': _adagrad, 'adam': _adam, 'adamw': _adamw, 'ftrl': _ftrl, 'lars': _lars,
         'momentum': _momentum, 'nesterov': _nesterov, 'rmsprop': _rmsprop, 'sgd': _sgd}


def test_the_table_is_slims_and_three_more():
    assert sorted(optimizers.OPTIMIZERS) == sorted(RULES)


def _minimize(name, loss, decay=DECAY):
    chosen = config.OptimizerConfig(**{**C.__dict__, 'optimizer': name})
    return optimizers.make_optimizer(chosen, tf.constant(RATE, tf.float64), decay).minimize(loss)


@pytest.mark.parametrize('name', sorted(RULES))
def test_update_rule(name):
    variables = [tf.get_variable(str(i), initializer=tf.constant(one)) for i, one in enumerate((WEIGHTS, BIASES))]
    train = _minimize(name, tf.add_n([tf.reduce_sum(one ** 4) / 4 for one in variables]))
    expected, states = [WEIGHTS, BIASES], [{}, {}]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(STEPS):
            session.run(train)
            expected = [RULES[name](x, x ** 3, state, decay)
                        for x, state, decay in zip(expected, states, (DECAY, 0), strict=True)]
        for got, wanted in zip(session.run(variables), expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(('weights', 'slope'), [(np.zeros([2, 2]), 3.0), (WEIGHTS, 0.0)])
def test_lars_has_the_plain_rate_where_a_norm_is_zero(weights, slope):
    variable = tf.get_variable('x', initializer=tf.constant(weights))
    train = _minimize('lars', slope * tf.reduce_sum(variable))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        np.testing.assert_allclose(session.run(variable), weights - RATE * (slope + DECAY * weights), rtol=1e-12)


@pytest.mark.parametrize(('name', 'slots'), [
    ('adamw', {'w/AdamW', 'w/AdamW_1', 'beta1_power', 'beta2_power'}), ('lars', {'w/LARS'}),
    ('nesterov', {'w/Momentum'})])
def test_names_of_slots(name, slots):
    variable = tf.get_variable('w', initializer=tf.constant(WEIGHTS))
    _minimize(name, tf.reduce_sum(variable))
    assert {one.op.name for one in tf.global_variables()} == slots | {'w'}


def test_steps_are_counted_by_the_optimizers_of_our_own():
    variable, step = tf.get_variable('w', initializer=tf.constant(WEIGHTS)), tf.train.get_or_create_global_step()
    chosen = [optimizers.AdamW(0.1, 0.1), optimizers.Lars(0.1, 0.1)]
    train = [one.minimize(tf.reduce_sum(variable), step) for one in chosen]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for one in train:
            session.run(one)
        assert session.run(step) == 2


def test_the_loss_has_no_weight_decay_where_the_optimizer_does_it():
    def decay(name):
        return optimizers.loss_weight_decay(config.TrainConfig(optimizer=config.OptimizerConfig(optimizer=name)))

    assert {name for name in RULES if not decay(name)} == {'adamw', 'lars'}
    assert decay('momentum') == config.TrainConfig().weight_decay


def test_unknown_optimizer_lists_the_known_ones():
    with pytest.raises(ValueError, match="one of adadelta, adagrad, .*, sgd; got 'lion'"):
        optimizers.make_optimizer(config.OptimizerConfig(optimizer='lion'), 0.1)
