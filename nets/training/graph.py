"""The graph of a training step."""

import collections

import tensorflow.compat.v1 as tf

from nets.training import freezing, losses, optimizers, schedules

# train_op: one step. total_loss, cross_entropy, learning_rate: scalar float32, as the step used them.
# averages: the `tf.train.ExponentialMovingAverage`, or None. synchronize_averages: sets the averages to the
# variables.
TrainGraph = collections.namedtuple('TrainGraph', (
    'train_op', 'total_loss', 'cross_entropy', 'learning_rate', 'averages', 'synchronize_averages'))


def build_train_graph(config, logits, labels, num_examples):
    """Adds losses, optimizer, batch norm updates and moving averages to a network.

    The order within a step: forward and backward pass, updates of the batch norms, the optimizer's update,
    the moving averages of all model variables (the moving statistics of batch norm included), which read the
    updated values.

    Args:
        config: A `TrainConfig`.
        logits: Float tensor `[batch, classes]`.
        labels: Integer tensor `[batch]`, in [0, classes).
        num_examples: Images in the data set, which the schedule counts epochs by.

    Returns:
        A `TrainGraph`.

    Raises:
        ValueError: The optimizer or the policy is unknown, or a trainable scope matches nothing.
    """
    global_step = tf.train.get_or_create_global_step()
    loss = losses.classification_losses(logits, labels, config.label_smoothing)
    rate = schedules.learning_rate(config.schedule, global_step, num_examples, config.data.batch_size)
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
    return TrainGraph(train_op, loss.total, loss.cross_entropy, rate, averages, synchronize)
