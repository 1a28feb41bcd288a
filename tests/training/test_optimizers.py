"""Every optimizer, with its constants from the configuration, against its update rule in NumPy."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.training import config, optimizers

RATE, STEPS = 0.1, 4
START = np.array([1.0, -2.0, 0.5])
C = config.OptimizerConfig(
    adadelta_rho=0.8, adagrad_initial_accumulator_value=0.3, adam_beta1=0.7, adam_beta2=0.95,
    opt_epsilon=0.01,
    ftrl_learning_rate_power=-0.4, ftrl_initial_accumulator_value=0.2, ftrl_l1=0.01, ftrl_l2=0.02,
    momentum=0.6,
    rmsprop_momentum=0.5, rmsprop_decay=0.85)


def _adadelta(x, g, s):
    s['a'] = C.adadelta_rho * s.get('a', 0) + (1 - C.adadelta_rho) * g * g
    update = np.sqrt(s.get('d', 0) + C.opt_epsilon) / np.sqrt(s['a'] + C.opt_epsilon) * g
    s['d'] = C.adadelta_rho * s.get('d', 0) + (1 - C.adadelta_rho) * update * update
    return x - RATE * update


def _adagrad(x, g, s):
    s['a'] = s.get('a', C.adagrad_initial_accumulator_value) + g * g
    return x - RATE * g / np.sqrt(s['a'])


def _adam(x, g, s):
    s['t'] = s.get('t', 0) + 1
    s['m'] = C.adam_beta1 * s.get('m', 0) + (1 - C.adam_beta1) * g
    s['v'] = C.adam_beta2 * s.get('v', 0) + (1 - C.adam_beta2) * g * g
    rate = RATE * np.sqrt(1 - C.adam_beta2 ** s['t']) / (1 - C.adam_beta1 ** s['t'])
    return x - rate * s['m'] / (np.sqrt(s['v']) + C.opt_epsilon)


def _ftrl(x, g, s):
    old = s.get('a', np.full_like(x, C.ftrl_initial_accumulator_value))
    s['a'] = old + g * g
    power = -C.ftrl_learning_rate_power
    s['l'] = s.get('l', 0) + g - (s['a'] ** power - old ** power) / RATE * x
    scale = s['a'] ** power / RATE + 2 * C.ftrl_l2
    return np.where(np.abs(s['l']) > C.ftrl_l1, (np.sign(s['l']) * C.ftrl_l1 - s['l']) / scale, 0.0)


def _momentum(x, g, s):
    s['m'] = C.momentum * s.get('m', 0) + g
    return x - RATE * s['m']


def _rmsprop(x, g, s):
    s['a'] = C.rmsprop_decay * s.get('a', 1.0) + (1 - C.rmsprop_decay) * g * g
    s['m'] = C.rmsprop_momentum * s.get('m', 0) + RATE * g / np.sqrt(s['a'] + C.opt_epsilon)
    return x - s['m']


def _sgd(x, g, s):
    return x - RATE * g


RULES = {'adadelta': _adadelta, 'adagrad': _adagrad, 'adam': _adam, 'ftrl': _ftrl, 'momentum': _momentum,
         'rmsprop': _rmsprop, 'sgd': _sgd}


def test_the_table_is_slims():
    assert sorted(optimizers.OPTIMIZERS) == sorted(RULES)


@pytest.mark.parametrize('name', sorted(RULES))
def test_update_rule(name):
    variable = tf.get_variable('x', initializer=tf.constant(START, tf.float32))
    chosen = config.OptimizerConfig(**{**C.__dict__, 'optimizer': name})
    train = optimizers.make_optimizer(chosen, tf.constant(RATE)).minimize(tf.reduce_sum(variable ** 4) / 4)
    expected, state = START, {}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(STEPS):
            session.run(train)
            expected = RULES[name](expected, expected ** 3, state)
        np.testing.assert_allclose(session.run(variable), expected, rtol=2e-5, atol=1e-6)


def test_unknown_optimizer_lists_the_known_ones():
    with pytest.raises(ValueError, match="one of adadelta, adagrad, .*, sgd; got 'lion'"):
        optimizers.make_optimizer(config.OptimizerConfig(optimizer='lion'), 0.1)
