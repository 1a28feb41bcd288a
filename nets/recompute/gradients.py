"""TensorFlow's gradients and optimizers, with activations that are computed again."""

import tensorflow.compat.v1 as tf

from nets.recompute.backward import Backward
from nets.recompute.forward import Forward
from nets.recompute.kept import kept_tensors


def gradients(ys, xs, kept, grad_ys=None, **kwargs):
    """`tf.gradients`, which keeps only some tensors of the forward pass.

    The gradients are those of `tf.gradients`: the same operations, which read the same numbers. Not computed again are
    random numbers, loops, whatever has a state or a side effect, what is read beyond the next tensor that is kept, and
    what comes after the last one, as the backward pass begins with it. Conditions are computed again as a whole.

    A session must feed placeholders only: a value fed in place of another tensor is not seen by what is computed again.

    Args:
        ys: Tensor, or list of tensors, to differentiate.
        xs: Tensor or variable, or list of these.
        kept: List of tensors; see `kept_tensors`.
        grad_ys: Gradients of `ys`; None for ones.
        **kwargs: Other arguments of `tf.gradients`.

    Returns:
        List of gradients, None for what `ys` do not depend on.

    Raises:
        ValueError: None of the tensors to keep is used for `ys`.
    """
    xs = list(xs) if isinstance(xs, (list, tuple)) else [xs]
    pairs = _recomputed(lambda: zip(tf.gradients(ys, xs, grad_ys, **kwargs), xs, strict=True), [ys, grad_ys], kept)
    return [gradient for gradient, _ in pairs]


def compute_gradients(optimizer, loss, var_list=None, every='unit', kept=None, **kwargs):
    """`optimizer.compute_gradients`, which keeps only some tensors of the forward pass; see `gradients`.

    Args:
        optimizer: A `tf.train.Optimizer`.
        loss: Scalar tensor.
        var_list: List of variables; None for all that are trainable.
        every: 'unit', 'block' or a number of units, as of `kept_tensors` for all networks in the graph; 'none' to keep
            all tensors.
        kept: List of tensors to keep, in place of `every`.
        **kwargs: Other arguments of the optimizer's method.

    Returns:
        List of pairs of gradient and variable.

    Raises:
        ValueError: There is no network in the graph, `every` is unknown, or none of the tensors to keep is used.
    """
    if kept is None and every == 'none':
        return optimizer.compute_gradients(loss, var_list, **kwargs)
    kept = kept_tensors(every=every) if kept is None else kept
    return _recomputed(lambda: optimizer.compute_gradients(loss, var_list, **kwargs), [loss, kwargs.get('grad_loss')],
                       kept)


class Optimizer(tf.train.Optimizer):
    """An optimizer that takes the gradients of another one in less memory, for `slim.learning` and the like."""

    def __init__(self, optimizer, every='unit', kept=None):
        """Wraps an optimizer; for the arguments see `compute_gradients`."""
        super().__init__(use_locking=False, name=optimizer.get_name())
        self._optimizer = optimizer
        self._chosen = {'every': every, 'kept': kept}

    def compute_gradients(self, loss, var_list=None, **kwargs):
        """See `compute_gradients` of this module."""
        return compute_gradients(self._optimizer, loss, var_list, **self._chosen, **kwargs)

    def apply_gradients(self, *args, **kwargs):
        """What the optimizer within does; likewise the methods below."""
        return self._optimizer.apply_gradients(*args, **kwargs)

    def get_slot(self, *args, **kwargs):
        return self._optimizer.get_slot(*args, **kwargs)

    def get_slot_names(self, *args, **kwargs):
        return self._optimizer.get_slot_names(*args, **kwargs)

    def variables(self):
        return self._optimizer.variables()


def _recomputed(differentiate, tensors, kept):
    """Changes the operations that a function adds to the graph to compute gradients.

    Args:
        differentiate: Function that returns pairs of a gradient or None and a variable or tensor.
        tensors: Nested list of tensors that the gradients begin with, or None.
        kept: List of tensors.

    Returns:
        What `differentiate` returns.
    """
    forward = Forward([tf.convert_to_tensor(one) for one in tf.nest.flatten(tensors) if one is not None], kept)
    graph = tf.get_default_graph()
    known = {operation.name for operation in graph.get_operations()}
    pairs = differentiate()
    added = [operation for operation in graph.get_operations() if operation.name not in known]
    reading = Backward(forward, added, known).recompute()
    return [(_after(reading.get(variable.op.name), gradient), variable) for gradient, variable in pairs]


def _after(operations, gradient):
    """A gradient that is not there before operations have run: what is read may be overwritten by then."""
    if gradient is None or not operations:
        return gradient
    with tf.control_dependencies(operations):
        if isinstance(gradient, tf.IndexedSlices):
            return tf.IndexedSlices(tf.identity(gradient.values), gradient.indices, gradient.dense_shape)
        return tf.identity(gradient)
