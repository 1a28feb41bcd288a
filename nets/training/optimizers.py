"""The optimizers of slim's training script and three more, as one table."""

import tensorflow.compat.v1 as tf


def decayed(variable):
    """Whether weight decay acts on a variable: on weights of any layer, not on biases, gammas and betas."""
    return variable.shape.ndims > 1


class AdamW(tf.train.AdamOptimizer):
    """Adam with weight decay beside the adaptive step rather than in the gradient.

    Besides Adam's own, a step takes `learning_rate * weight_decay` of each weight away. (The paper multiplies by the
    schedule alone, as its rate is that of the schedule times a constant.)

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019 (arXiv:1711.05101), algorithm 2.
    """

    def __init__(self, learning_rate, weight_decay, beta1=0.9, beta2=0.999, epsilon=1e-8):
        """Sets the constants; see the class, and `tf.train.AdamOptimizer`."""
        super().__init__(learning_rate, beta1, beta2, epsilon, name='AdamW')
        self._decay = learning_rate * weight_decay

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        """Takes a step; see `tf.train.Optimizer.apply_gradients`."""
        grads_and_vars = list(grads_and_vars)
        variables = [variable for gradient, variable in grads_and_vars if gradient is not None and decayed(variable)]
        losses = [tf.cast(self._decay, one.dtype.base_dtype) * one.read_value() for one in variables]
        with tf.control_dependencies(losses):
            adam = super().apply_gradients(grads_and_vars)
        with tf.control_dependencies([adam]):
            decays = [one.assign_sub(loss, read_value=False) for one, loss in zip(variables, losses, strict=True)]
        return _finished([adam, *decays], global_step, name)


class Lars(tf.train.MomentumOptimizer):
    """Momentum whose rate follows the norms of each layer's weights and gradient, for very large batches.

    Biases, gammas and betas have the plain rate and no decay; weights have the plain rate while their norm, or their
    gradient's, is 0.

    Source: You et al., "Large Batch Training of Convolutional Networks", 2017 (arXiv:1708.03888), algorithm 1.
    """

    def __init__(self, learning_rate, weight_decay, momentum=0.9, coefficient=0.001):
        """Sets the constants.

        Args:
            learning_rate: Scalar tensor or float.
            weight_decay: Float, the paper's beta.
            momentum: Float.
            coefficient: Float, the paper's eta: how far a layer may move, as a share of its norm, at a rate of 1.
        """
        # The accumulated updates have the rate in them already.
        super().__init__(1.0, momentum, name='LARS')
        self._rate, self._weight_decay, self._coefficient = learning_rate, weight_decay, coefficient

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        """Takes a step; see `tf.train.Optimizer.apply_gradients`."""
        return super().apply_gradients(
            [(None if gradient is None else self._update(tf.convert_to_tensor(gradient), variable), variable)
             for gradient, variable in grads_and_vars], global_step, name)

    def _update(self, gradient, variable):
        """What the algorithm accumulates."""
        rate = tf.cast(self._rate, gradient.dtype)
        if not decayed(variable):
            return rate * gradient
        weights = variable.read_value()
        weights_norm, gradient_norm = tf.norm(weights), tf.norm(gradient)
        trust = self._coefficient * weights_norm / (gradient_norm + self._weight_decay * weights_norm)
        trust = tf.where((weights_norm > 0) & (gradient_norm > 0), trust, tf.ones_like(trust))
        return rate * trust * (gradient + self._weight_decay * weights)


def _finished(operations, global_step, name):
    """One operation for all, which also counts the step."""
    if global_step is None:
        return tf.group(*operations, name=name)
    with tf.control_dependencies(operations):
        return tf.assign_add(global_step, 1, name=name).op


# name -> function of (`OptimizerConfig`, learning rate, weight decay).
OPTIMIZERS = {
    'adadelta': lambda config, rate, decay: tf.train.AdadeltaOptimizer(
        rate, rho=config.adadelta_rho, epsilon=config.opt_epsilon),
    'adagrad': lambda config, rate, decay: tf.train.AdagradOptimizer(
        rate, initial_accumulator_value=config.adagrad_initial_accumulator_value),
    'adam': lambda config, rate, decay: tf.train.AdamOptimizer(
        rate, beta1=config.adam_beta1, beta2=config.adam_beta2, epsilon=config.opt_epsilon),
    'adamw': lambda config, rate, decay: AdamW(
        rate, decay, config.adam_beta1, config.adam_beta2, config.adamw_epsilon),
    'ftrl': lambda config, rate, decay: tf.train.FtrlOptimizer(
        rate, learning_rate_power=config.ftrl_learning_rate_power,
        initial_accumulator_value=config.ftrl_initial_accumulator_value,
        l1_regularization_strength=config.ftrl_l1, l2_regularization_strength=config.ftrl_l2),
    'lars': lambda config, rate, decay: Lars(rate, decay, config.momentum, config.lars_coefficient),
    'momentum': lambda config, rate, decay: tf.train.MomentumOptimizer(rate, config.momentum),
    'nesterov': lambda config, rate, decay: tf.train.MomentumOptimizer(rate, config.momentum, use_nesterov=True),
    'rmsprop': lambda config, rate, decay: tf.train.RMSPropOptimizer(
        rate, decay=config.rmsprop_decay, momentum=config.rmsprop_momentum, epsilon=config.opt_epsilon),
    'sgd': lambda config, rate, decay: tf.train.GradientDescentOptimizer(rate),
}
# Those that decay weights by themselves.
_DECAYING = ('adamw', 'lars')


def loss_weight_decay(config):
    """The weight decay that the loss has: none where the optimizer does it.

    Args:
        config: A `TrainConfig`.

    Returns:
        A float.
    """
    return 0.0 if config.optimizer.optimizer in _DECAYING else config.weight_decay


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


def make_optimizer(config, learning_rate, weight_decay=0.0):
    """Makes the optimizer that a configuration names.

    Args:
        config: An `OptimizerConfig`.
        learning_rate: Scalar float32 tensor, or a float.
        weight_decay: Float, for those optimizers that decay weights by themselves.

    Returns:
        A `tf.train.Optimizer`.

    Raises:
        ValueError: There is no such optimizer.
    """
    check_optimizer(config)
    return OPTIMIZERS[config.optimizer](config, learning_rate, weight_decay)
