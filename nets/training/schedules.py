"""Learning-rate policies with slim's meaning, on the batch of all devices together."""

import dataclasses

import tensorflow.compat.v1 as tf


def _fixed(config, global_step, decay_steps):
    del global_step, decay_steps
    return tf.constant(config.learning_rate, tf.float32)


def _exponential(config, global_step, decay_steps):
    return tf.train.exponential_decay(
        config.learning_rate, global_step, decay_steps, config.learning_rate_decay_factor, staircase=True)


def _polynomial(config, global_step, decay_steps):
    return tf.train.polynomial_decay(
        config.learning_rate, global_step, decay_steps, config.end_learning_rate, power=1.0, cycle=False)


# name -> function of (`ScheduleConfig`, step, steps per decay) that returns the rate.
POLICIES = {'exponential': _exponential, 'fixed': _fixed, 'polynomial': _polynomial}


def check_policy(config):
    """Checks the policy's name, so that a run can fail before it does anything.

    Args:
        config: A `ScheduleConfig`.

    Raises:
        ValueError: There is no such policy.
    """
    if config.learning_rate_decay_type not in POLICIES:
        raise ValueError(f'learning_rate_decay_type must be one of {", ".join(sorted(POLICIES))}; '
                         f'got {config.learning_rate_decay_type!r}.')


def steps_of(epochs, num_examples, global_batch_size):
    """Whole steps in some epochs, rounded down and at least 1.

    slim's script divided by the batch of one clone; this counts the images of all devices, so that an epoch
    stays an epoch when devices are added.

    Args:
        epochs: Passes over the dataset; may be a fraction.
        num_examples: Images in the dataset.
        global_batch_size: Images per step, on all devices together.

    Returns:
        An int.
    """
    return max(1, int(num_examples * epochs / global_batch_size))


def with_steps(config, num_examples):
    """A configuration whose end is a number of steps, where it was a number of epochs.

    Args:
        config: A `TrainConfig`.
        num_examples: Images in the dataset.

    Returns:
        A `TrainConfig`.
    """
    if config.max_number_of_epochs is None:
        return config
    steps = steps_of(config.max_number_of_epochs, num_examples, config.data.batch_size)
    return dataclasses.replace(config, max_number_of_steps=steps, max_number_of_epochs=None)


def learning_rate(config, global_step, num_examples, global_batch_size):
    """The learning rate at a step.

    Args:
        config: A `ScheduleConfig`.
        global_step: Scalar int64 tensor or variable: steps taken so far.
        num_examples: Images in the dataset.
        global_batch_size: Images per step, on all devices together.

    Returns:
        Scalar float32 tensor.

    Raises:
        ValueError: There is no such policy.
    """
    check_policy(config)
    decay_steps = steps_of(config.num_epochs_per_decay, num_examples, global_batch_size)
    rate = POLICIES[config.learning_rate_decay_type](config, global_step, decay_steps)
    if config.warmup_epochs:
        warmup_steps = steps_of(config.warmup_epochs, num_examples, global_batch_size)
        rising = config.learning_rate * tf.cast(global_step, tf.float32) / warmup_steps
        rate = tf.minimum(rising, rate)
    return rate
