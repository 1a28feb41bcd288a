"""Learning rates over time, slim's with slim's meaning, on the batch of all devices together."""

import collections
import dataclasses
import functools
import math

import tensorflow.compat.v1 as tf

# slim's default of `num_epochs_per_decay`.
_SLIM_EPOCHS_PER_DECAY = 2.0

# step: scalar int64 tensor. total_steps: where the run ends, None if it does not. steps_of: function from epochs to
# steps.
Run = collections.namedtuple('Run', ('step', 'total_steps', 'steps_of'))


def _fixed(config, run):
    del run
    return tf.constant(config.learning_rate, tf.float32)


def _decay_steps(config, run):
    return run.steps_of(config.num_epochs_per_decay or _SLIM_EPOCHS_PER_DECAY)


def _exponential(config, run):
    return tf.train.exponential_decay(config.learning_rate, run.step, _decay_steps(config, run),
                                      config.learning_rate_decay_factor, staircase=True)


def _polynomial(config, run):
    return tf.train.polynomial_decay(config.learning_rate, run.step, _decay_steps(config, run),
                                     config.end_learning_rate, power=1.0, cycle=False)


def _poly(config, run):
    """Down to the end of the run as a power of what is left of it (Chen et al., "DeepLab", 2018, section 4.1.2)."""
    if not run.total_steps:
        raise ValueError('learning_rate_decay_type=poly needs an end: give max_number_of_epochs or '
                         'max_number_of_steps.')
    return tf.train.polynomial_decay(config.learning_rate, run.step, run.total_steps, config.end_learning_rate,
                                     config.learning_power)


def _cosine(config, run):
    """Half a period of a cosine (Loshchilov and Hutter, "SGDR", 2017, arXiv:1608.03983, equation 5, no restarts)."""
    steps = run.steps_of(config.num_epochs_per_decay) if config.num_epochs_per_decay else run.total_steps
    if not steps:
        raise ValueError('learning_rate_decay_type=cosine needs an end: give max_number_of_epochs, '
                         'max_number_of_steps or num_epochs_per_decay.')
    gone = tf.minimum(tf.cast(run.step, tf.float32) / float(steps), 1.0)
    above_end = config.learning_rate - config.end_learning_rate
    return config.end_learning_rate + above_end * 0.5 * (1 + tf.cos(math.pi * gone))


def _piecewise(config, run):
    boundaries = [run.steps_of(epoch) for epoch in config.learning_rate_boundaries]
    factors = [config.learning_rate_decay_factor ** (number + 1) for number in range(len(boundaries))]
    later = config.learning_rate_values or [config.learning_rate * factor for factor in factors]
    passed = tf.reduce_sum(tf.cast(run.step >= tf.constant(boundaries, tf.int64), tf.int32))
    return tf.gather(tf.constant([config.learning_rate, *later], tf.float32), passed)


# name -> function of (`ScheduleConfig`, `Run`) that returns the rate.
POLICIES = {'cosine': _cosine, 'exponential': _exponential, 'fixed': _fixed, 'piecewise': _piecewise,
            'poly': _poly, 'polynomial': _polynomial}


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

    Raises:
        ValueError: There are more than 2**31.
    """
    steps = num_examples * epochs / global_batch_size
    if steps > 2 ** 31:
        raise ValueError(f'{epochs} epochs of {num_examples} images are more than 2**31 steps; give fewer epochs.')
    return max(1, int(steps))


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


def learning_rate(config, global_step, num_examples, global_batch_size, total_steps=None):
    """The learning rate at a step.

    Args:
        config: A `ScheduleConfig`.
        global_step: Scalar int64 tensor or variable: steps taken so far.
        num_examples: Images in the dataset.
        global_batch_size: Images per step, on all devices together.
        total_steps: The step that the run ends at, or None.

    Returns:
        Scalar float32 tensor.

    Raises:
        ValueError: There is no such policy, or it needs an end and the run has none.
    """
    check_policy(config)
    steps = functools.partial(steps_of, num_examples=num_examples, global_batch_size=global_batch_size)
    step = tf.cast(global_step, tf.int64)
    rate = POLICIES[config.learning_rate_decay_type](config, Run(step, total_steps, steps))
    if config.warmup_epochs:
        rising = config.learning_rate * tf.cast(step, tf.float32) / steps(config.warmup_epochs)
        rate = tf.minimum(rising, rate)
    return rate
