"""The graph of a training step."""

import collections
import math

import tensorflow.compat.v1 as tf

from nets import recompute
from nets.checkpoints import restore
from nets.training import (
    accumulation,
    freezing,
    mixed_precision,
    network_losses,
    optimizers,
    schedules,
    skipping,
    zero_gamma,
)
from nets.training.distributed import all_reduce

# train_op: one step. accumulate_op: None, or what is run on each micro-batch of a step before the last one, which the
# `train_op` takes. metrics: ordered dict of scalar float32 tensors, fetched with the `train_op`; see
# `build_train_graph`. images: those of the batch, as the network sees them. gradients: dict from names of variables to
# their gradients in the step, means over all micro-batches and workers, before they are clipped. averages: the
# `tf.train.ExponentialMovingAverage`, or None. synchronize_averages: sets the averages to the variables.
TrainGraph = collections.namedtuple('TrainGraph', (
    'train_op', 'accumulate_op', 'metrics', 'images', 'gradients', 'averages', 'synchronize_averages'))


def check(config):
    """Checks the names in a configuration, so that a run can fail before it does anything.

    Args:
        config: A `RunConfig`.

    Raises:
        ValueError: The optimizer or the policy is unknown, or the network does not have what is asked for.
    """
    optimizers.check_optimizer(config.optimizer)
    schedules.check_policy(config.schedule)
    if config.zero_last_gamma:
        zero_gamma.variable_getter(config.model_name)


def build_train_graph(config, task, batch, reduce=None, losses=network_losses.build):
    """Builds the network on a batch, with losses, optimizer, batch norm updates and moving averages.

    The order within a step: forward and backward pass, updates of the batch norms, means over all workers of gradients
    and moving statistics, the optimizer's update, the moving averages of all model variables (the moving statistics of
    batch norm included), which read the updated values, and the number of the step.

    A step whose loss or gradients are not finite changes nothing but that number if `nan_policy` is `skip`, and if
    float16 is used, whose loss scale is then halved.

    Args:
        config: A `RunConfig`.
        task: What `losses` wants, with the `dataset`; an `inputs.Task` for a classifier.
        batch: Dict of tensors, one micro-batch with gradient accumulation. For a classifier: `image`, float `[batch,
            height, width, channels]`, and `label`, integer `[batch]`, in [0, classes).
        reduce: None, or a function of a list of dense float32 tensors that returns the list of their means over all
            workers.
        losses: See `nets.training.problem.Problem`.

    Returns:
        A `TrainGraph`. Its metrics, means over all micro-batches and workers: `loss`, NaN also where gradients that are
        not finite leave no loss scale to blame, `cross_entropy`, `learning_rate`; `gradient_norm` before it is clipped,
        if it is; `loss_scale`, if there is one; `skipped`, if `nan_policy` is `skip`: steps of the run that were
        skipped, for other reasons than the loss scale. All variables are resource variables, and local ones are to be
        initialized, too.

    Raises:
        ValueError: The optimizer or the policy is unknown, or a scope matches nothing.
    """
    config = schedules.with_steps(config, task.dataset.num_examples)
    with tf.variable_scope(tf.get_variable_scope(), use_resource=True, auxiliary_name_scope=False):
        return _build(config, task, batch, reduce, losses)


def resumed_variables(checkpoint_path):
    """What a resumed run reads: all global variables but the notes on skipped steps and on a loss scale that it lacks.

    So a run may get another `nan_policy` or `mixed_precision` when it is started again.

    Args:
        checkpoint_path: A checkpoint's prefix.

    Returns:
        List of variables.
    """
    held = restore.read_shapes(checkpoint_path)
    return [one for one in tf.global_variables()
            if one.op.name in held or not restore.in_scope(one.op.name, skipping.SCOPE)]


def _build(config, task, batch, reduce, losses):
    """`build_train_graph`, of a configuration that ends at a step, within the scope of the variables."""
    step = tf.train.get_or_create_global_step()
    accumulator = accumulation.Accumulator() if config.gradient_accumulation > 1 else None
    scale = mixed_precision.LossScale() if config.mixed_precision == 'float16' else None
    position = step * config.gradient_accumulation + (accumulator.count if accumulator else 0)
    loss, images = losses(config, task, batch, position)
    rate = schedules.learning_rate(
        config.schedule, step, task.dataset.num_examples, config.data.batch_size, config.max_number_of_steps)
    optimizer = optimizers.make_optimizer(config.optimizer, rate, config.weight_decay)
    gradients, variables = _gradients(config, optimizer, loss.total * scale.value if scale else loss.total)

    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    guard = skipping.Guard(updates, accumulator) if scale or config.nan_policy == 'skip' else None
    updates = guard.updates if guard else updates
    values, accumulate_op = [*gradients, loss.total, loss.cross_entropy], None
    if accumulator:
        values, accumulate_op = accumulator.mean(values), accumulator.add(updates)
    if reduce:
        values, updates = all_reduce.mean_with_statistics(reduce, values, updates)
    *gradients, total, cross_entropy = values

    metrics = collections.OrderedDict(loss=total, cross_entropy=cross_entropy, learning_rate=rate)
    if scale:
        metrics['loss_scale'] = scale.value.read_value()
        gradients = [gradient / metrics['loss_scale'] for gradient in gradients]
    named = {one.op.name: gradient for one, gradient in zip(variables, gradients, strict=True)}
    averages, update = _update(config, optimizer, gradients, variables, step, metrics)
    with tf.control_dependencies(updates):
        done = _take_if_finite(config, guard, scale, gradients, metrics, update) if guard else [update()]
    with tf.control_dependencies([*done, *metrics.values()]):
        train_op = tf.group(tf.assign_add(step, 1), *[accumulator.reset()] if accumulator else [])
    synchronize = [tf.assign(averages.average(one), one) for one in tf.model_variables()] if averages else []
    return TrainGraph(train_op, accumulate_op, metrics, images, named, averages, tf.group(*synchronize))


def _gradients(config, optimizer, loss):
    """Dense gradients, and their variables."""
    tune = config.fine_tune
    variables = freezing.trainable_variables(tf.trainable_variables(), tune.trainable_scopes, tune.freeze)
    pairs = recompute.compute_gradients(optimizer, loss, variables, config.recompute)
    pairs = [(tf.convert_to_tensor(gradient), variable) for gradient, variable in pairs if gradient is not None]
    return [list(column) for column in zip(*pairs, strict=True)]


def _update(config, optimizer, gradients, variables, step, metrics):
    """The averages of all model variables, or None, and a function that adds the operation of a step."""
    if config.clip_gradient_norm:
        gradients, metrics['gradient_norm'] = tf.clip_by_global_norm(gradients, config.clip_gradient_norm)
    averages = None
    if config.moving_average_decay:  # by the number of the step, counted from 1
        averages = tf.train.ExponentialMovingAverage(config.moving_average_decay, step + 1)

    def update():
        applied = optimizer.apply_gradients(zip(gradients, variables, strict=True))
        with tf.control_dependencies([applied]):
            return averages.apply(tf.model_variables()) if averages else applied

    return averages, update


def _take_if_finite(config, guard, scale, gradients, metrics, update):
    """Operations that take a step or skip it, and note which; adds to the metrics."""
    loss_is_finite = tf.math.is_finite(metrics['loss'])
    gradients_are_finite = skipping.all_finite(gradients)
    overflow = loss_is_finite & ~gradients_are_finite & (scale.can_shrink() if scale else False)
    bad = ~(loss_is_finite & gradients_are_finite) & ~overflow
    done = [guard.take(loss_is_finite & gradients_are_finite, update)]
    skipped = guard.skipped + tf.cast(bad, tf.int64)
    done.append(guard.skipped.assign(skipped))
    if config.nan_policy == 'skip':
        metrics['skipped'] = tf.cast(skipped, tf.float32)
    else:
        metrics['loss'] = tf.where(bad, math.nan, metrics['loss'])
    if scale:
        with tf.control_dependencies([*done, metrics['loss_scale']]):
            done.append(tf.cond(loss_is_finite, lambda: scale.update(gradients_are_finite), tf.no_op))
    return done
