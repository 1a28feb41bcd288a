"""Steps that come to nothing, as their loss or gradients are not finite: they leave every variable as it was."""

import tensorflow.compat.v1 as tf

from nets.training.accumulation import local_variable

# Of the variables that only some settings need.
SCOPE = 'training_state'


class Guard:
    """Takes a step if its numbers are finite, and otherwise puts back what has been changed by then.

    The moving statistics of batch norm move with each micro-batch, before it is known how the step ends. So they are
    copied when it begins.

    Attributes:
        updates: Operations to run in place of those that were given.
        skipped: Scalar int64 variable for the number of steps that came to nothing; saved in checkpoints.
    """

    def __init__(self, updates, accumulator=None):
        """Adds the copies to the current graph.

        Args:
            updates: List of operations that change model variables that are not trained.
            accumulator: The `Accumulator` of the step, if it has micro-batches.
        """
        self._variables = [one for one in tf.model_variables() if not one.trainable]
        self._copies = [local_variable(tf.zeros(one.shape, one.dtype.base_dtype)) for one in self._variables]
        saved = (tf.cond(tf.equal(accumulator.count, 0), self._save, tf.no_op) if accumulator else self._save())
        self.updates = _repeat_after(saved, updates)
        with tf.variable_scope(SCOPE, use_resource=True):
            self.skipped = tf.get_variable('skipped_steps', initializer=tf.constant(0, tf.int64), trainable=False)

    def take(self, finite, update):
        """Updates, or puts back; within the control dependencies of `updates`.

        Args:
            finite: Scalar bool tensor.
            update: Function that returns an operation.

        Returns:
            An operation.
        """
        def run(operation):
            with tf.control_dependencies([operation]):
                return tf.constant(True)

        # An operation of its own, which the control dependencies hold for.
        return tf.cond(tf.identity(finite), lambda: run(update()), lambda: run(self._restore())).op

    def _save(self):
        return _assign(self._copies, self._variables)

    def _restore(self):
        return _assign(self._variables, self._copies)


def all_finite(tensors):
    """Whether tensors hold neither NaN nor infinities, a scalar bool tensor."""
    return tf.reduce_all(tf.stack([tf.reduce_all(tf.math.is_finite(one)) for one in tensors]))


def _assign(targets, sources):
    """An operation that copies variables into others."""
    return tf.group(*[target.assign(source.read_value(), read_value=False)
                      for target, source in zip(targets, sources, strict=True)])


def _repeat_after(operation, updates):
    """Copies of update operations, which have no outputs, that wait for an operation."""
    graph = tf.get_default_graph()
    with tf.control_dependencies([operation, *[before for one in updates for before in one.control_inputs]]):
        return [graph.create_op(one.type, list(one.inputs), [], attrs=dict(one.node_def.attr), name='update')
                for one in updates]
