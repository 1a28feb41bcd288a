"""The graph of a training step."""

import collections

import tensorflow.compat.v1 as tf

from nets.training import freezing, inputs, losses, optimizers, schedules

# train_op: one step. accumulate_op: None, or what is run on each micro-batch of a step before the last one, which the
# `train_op` takes. metrics: ordered dict of scalar float32 tensors, fetched with the `train_op`: `loss`,
# `cross_entropy`, `learning_rate`. averages: the `tf.train.ExponentialMovingAverage`, or None. synchronize_averages:
# sets the averages to the variables.
TrainGraph = collections.namedtuple('TrainGraph', (
    'train_op', 'accumulate_op', 'metrics', 'averages', 'synchronize_averages'))


def training_task(config, checkpoint_path=None):
    """Looks up all that a configuration names; `inputs.make_task` with what training adds.

    Args:
        config: A `TrainConfig`.
        checkpoint_path: Where the weights come from; None for random weights.

    Returns:
        An `inputs.Task`.

    Raises:
        ValueError: A name is unknown, or the data set is not there; see `inputs.make_task`.
    """
    optimizers.check_optimizer(config.optimizer)
    schedules.check_policy(config.schedule)
    mode = freezing.training_mode(config.fine_tune.trainable_scopes)
    return inputs.make_task(config.model_name, config.data, mode, config.weight_decay, config.batch_norm_decay,
                            checkpoint_path)


def build_train_graph(config, task, batch, reduce=None):
    """Builds the network on a batch, with losses, optimizer, batch norm updates and moving averages.

    The order within a step: forward and backward pass, updates of the batch norms, the optimizer's update,
    the moving averages of all model variables (the moving statistics of batch norm included), which read the
    updated values.

    Args:
        config: A `TrainConfig`.
        task: An `inputs.Task`.
        batch: Dict of tensors: `image`, float `[batch, height, width, channels]`, and `label`, integer `[batch]`, in
            [0, classes).
        reduce: None, or a function of a list of dense float32 tensors that returns the list of their means over all
            workers.

    Returns:
        A `TrainGraph`.

    Raises:
        ValueError: The optimizer or the policy is unknown, or a trainable scope matches nothing.
    """
    del reduce
    global_step = tf.train.get_or_create_global_step()
    logits, _ = task.network_fn(batch['image'])
    loss = losses.classification_losses(logits, batch['label'], config.label_smoothing)
    rate = schedules.learning_rate(config.schedule, global_step, task.dataset.num_examples, config.data.batch_size)
    optimizer = optimizers.make_optimizer(config.optimizer, rate)
    variables = freezing.trainable_variables(tf.trainable_variables(), config.fine_tune.trainable_scopes)
    gradients = optimizer.compute_gradients(loss.total, variables)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        train_op = optimizer.apply_gradients(gradients, global_step)

    averages, synchronize = None, tf.no_op()
    if config.moving_average_decay:
        averages = tf.train.ExponentialMovingAverage(config.moving_average_decay, global_step)
        with tf.control_dependencies([train_op]):
            train_op = averages.apply(tf.model_variables())
        synchronize = tf.group(*[tf.assign(averages.average(one), one) for one in tf.model_variables()])
    metrics = collections.OrderedDict(loss=loss.total, cross_entropy=loss.cross_entropy, learning_rate=rate)
    return TrainGraph(train_op, None, metrics, averages, synchronize)
