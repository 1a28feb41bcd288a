"""The optimizers of slim's training script, as one table."""

import tensorflow.compat.v1 as tf

# name -> function of (`OptimizerConfig`, learning rate).
OPTIMIZERS = {
    'adadelta': lambda config, rate: tf.train.AdadeltaOptimizer(
        rate, rho=config.adadelta_rho, epsilon=config.opt_epsilon),
    'adagrad': lambda config, rate: tf.train.AdagradOptimizer(
        rate, initial_accumulator_value=config.adagrad_initial_accumulator_value),
    'adam': lambda config, rate: tf.train.AdamOptimizer(
        rate, beta1=config.adam_beta1, beta2=config.adam_beta2, epsilon=config.opt_epsilon),
    'ftrl': lambda config, rate: tf.train.FtrlOptimizer(
        rate, learning_rate_power=config.ftrl_learning_rate_power,
        initial_accumulator_value=config.ftrl_initial_accumulator_value,
        l1_regularization_strength=config.ftrl_l1, l2_regularization_strength=config.ftrl_l2),
    'momentum': lambda config, rate: tf.train.MomentumOptimizer(rate, momentum=config.momentum),
    'rmsprop': lambda config, rate: tf.train.RMSPropOptimizer(
        rate, decay=config.rmsprop_decay, momentum=config.rmsprop_momentum, epsilon=config.opt_epsilon),
    'sgd': lambda config, rate: tf.train.GradientDescentOptimizer(rate),
}


def check_optimizer(config):
    """Checks the optimizer's name, so that a run can fail before it does anything.

    Args:
        config: An `OptimizerConfig`.

    Raises:
        ValueError: There is no such optimizer.
    """
    if config.optimizer not in OPTIMIZERS:
        raise ValueError(f'optimizer must be one of {", ".join(sorted(OPTIMIZERS))}; got '
                         f'{config.optimizer!r}.')


def make_optimizer(config, learning_rate):
    """Makes the optimizer that a configuration names.

    Args:
        config: An `OptimizerConfig`.
        learning_rate: Scalar float32 tensor, or a float.

    Returns:
        A `tf.train.Optimizer`.

    Raises:
        ValueError: There is no such optimizer.
    """
    check_optimizer(config)
    return OPTIMIZERS[config.optimizer](config, learning_rate)
