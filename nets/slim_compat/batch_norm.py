"""The batch normalisation layer that `slim.batch_norm` builds on, in plain TensorFlow operations.

It stands where tf-slim looks for `tf.layers.BatchNormalization`, which TensorFlow no longer has, and gives
the variables, collections, operation names and numbers of TensorFlow 1.15's.

Source: Ioffe and Szegedy, "Batch Normalization", 2015 (arXiv:1502.03167), algorithms 1 and 2; Ioffe, "Batch
Renormalization", 2017 (arXiv:1702.03275), algorithm 1.
"""

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops import variables
from tf_slim.layers import utils

# cuDNN refuses a smaller one, and TensorFlow's fused operation has always raised it to this on every device.
_MIN_FUSED_EPSILON = 1.001e-5
_RENORM_CLIPPING_KEYS = ('rmax', 'rmin', 'dmax')


class BatchNormalization:
    """Normalises over all axes but one. The arguments are those of `slim.batch_norm`, as it hands them on.

    After `apply`, the attributes `gamma`, `beta` (None where switched off), `moving_mean` and
    `moving_variance` hold the variables, `[channels]`, of the inputs' type, or float32 for half precision.
    """

    def __init__(self, axis, momentum, epsilon, center, scale, beta_initializer, gamma_initializer,
                 moving_mean_initializer, moving_variance_initializer, beta_regularizer, gamma_regularizer,
                 trainable, renorm, renorm_clipping, renorm_momentum, adjustment, fused,
                 getter=tf.get_variable, **_):
        unknown = set(renorm_clipping or ()) - set(_RENORM_CLIPPING_KEYS)
        if renorm and unknown:
            raise ValueError('renorm_clipping may have the keys {}; got also {}.'.format(
                ', '.join(_RENORM_CLIPPING_KEYS), ', '.join(sorted(map(str, unknown)))))
        self.axis = axis
        self.momentum = momentum
        self.epsilon = epsilon
        self.renorm = renorm
        self.renorm_clipping = renorm_clipping or {}
        self.renorm_momentum = renorm_momentum
        self.adjustment = adjustment
        self.fused = fused and not renorm and adjustment is None
        self._trainable = trainable
        self._getter = getter
        self._wanted = {'gamma': scale, 'beta': center}
        self._initializers = {'gamma': gamma_initializer, 'beta': beta_initializer,
                              'moving_mean': moving_mean_initializer,
                              'moving_variance': moving_variance_initializer}
        self._regularizers = {'gamma': gamma_regularizer, 'beta': beta_regularizer}
        self.gamma = self.beta = self.moving_mean = self.moving_variance = None

    def apply(self, inputs, training):
        """Normalises a tensor.

        Args:
          inputs: Floating-point tensor of known rank and channel count.
          training: Bool, or bool tensor: whether to use the statistics of the batch and, where trainable,
            to add their updates to the collection UPDATE_OPS. None counts as False. Or a function that
            returns one of these; it is called within the layer's variable scope.

        Returns:
          A tensor of the shape and type of `inputs`.

        Raises:
          ValueError: If rank or channel count of `inputs` is unknown.
          TypeError: If `training` is none of these.
        """
        training = _checked_mode(training() if callable(training) else training)
        self._build(inputs)
        if self.fused and inputs.shape.ndims == 4:
            return self._apply_fused(inputs, training)
        return self._apply_unfused(inputs, training)

    def _build(self, inputs):
        """Creates the variables, or gets those of the current scope."""
        ndims = inputs.shape.ndims
        if not ndims:
            raise ValueError(f'Batch normalisation needs a known rank; {inputs} has an undefined rank.')
        channels = inputs.shape.as_list()[self.axis]
        if channels is None:
            raise ValueError(f'Batch normalisation needs a known number of channels; axis {self.axis} of the '
                             f'shape {inputs.shape} is undefined.')
        self.axis %= ndims
        self._channels = channels
        half = inputs.dtype.base_dtype in (tf.float16, tf.bfloat16)
        self._dtype = tf.float32 if half else inputs.dtype.base_dtype
        for name in ('gamma', 'beta'):
            if self._wanted[name]:
                setattr(self, name, add_weight(
                    name, name, [channels], self._dtype, self._initializers[name], self._regularizers[name],
                    self._trainable, self._getter))
        scope = tf.get_variable_scope()
        partitioner = scope.partitioner
        # A moving average cannot be assigned to the parts of a variable.
        scope.set_partitioner(None)
        try:
            self.moving_mean = self._statistic('moving_mean')
            self.moving_variance = self._statistic('moving_variance')
            if self.renorm:
                self._build_renorm()
        finally:
            scope.set_partitioner(partitioner)

    def _build_renorm(self):
        """The variables of batch renormalisation: `moving_stddev` for inference, the others for training."""
        def stddev(*args, **kwargs):
            return tf.sqrt(self._initializers['moving_variance'](*args, **kwargs))

        with ops.colocate_with(self.moving_variance):
            self.moving_stddev = self._statistic('moving_stddev', stddev)
        with ops.colocate_with(self.moving_mean):
            self.renorm_mean = self._statistic('renorm_mean', self._initializers['moving_mean'])
        with ops.colocate_with(self.moving_stddev):
            self.renorm_stddev = self._statistic('renorm_stddev', stddev)

    def _statistic(self, name, initializer=None):
        return self._getter(
            name, [self._channels], self._dtype, initializer or self._initializers[name], trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ, aggregation=tf.VariableAggregation.MEAN)

    def _apply_fused(self, inputs, training):
        """One fused operation; the variance it averages has Bessel's correction, as in TensorFlow 1."""
        scale = tf.ones([self._channels], self._dtype) if self.gamma is None else self.gamma
        offset = tf.zeros([self._channels], self._dtype) if self.beta is None else self.beta

        def fused(mean, variance, is_training):
            result = tf.raw_ops.FusedBatchNormV3(
                x=inputs, scale=scale, offset=offset, mean=mean, variance=variance,
                epsilon=max(self.epsilon, _MIN_FUSED_EPSILON), is_training=is_training,
                data_format='NCHW' if self.axis == 1 else 'NHWC')
            return result[:3]

        def batch_statistics():
            nothing = tf.constant([], self._dtype)
            return fused(nothing, nothing, True)

        def moving_statistics():
            return fused(self.moving_mean, self.moving_variance, False)

        outputs, mean, variance = utils.smart_cond(training, batch_statistics, moving_statistics)
        if self._trainable and utils.constant_value(training) in (None, True):
            # In float32, as the graph of TensorFlow 1.15 computed it.
            momentum = self.momentum if isinstance(self.momentum, tf.Tensor) else np.float32(self.momentum)
            decay = _where_training(training, np.float32(1) - momentum, 0.0)
            decay = tf.convert_to_tensor(decay, name='decay')
            _add_update(_assign_moving_average(self.moving_mean, mean, decay, read_value=False))
            _add_update(_assign_moving_average(self.moving_variance, variance, decay, read_value=False))
        return outputs

    def _apply_unfused(self, inputs, training):
        """Moments and normalisation one by one: any rank, renormalisation and adjustment."""
        # TensorFlow 1 opened the layer's scope once more inside itself. That shows where names differ in case
        # only: `BatchNorm/batchnorm_1`, but `bn/batchnorm`.
        tf.get_default_graph().unique_name(tf.get_variable_scope().name.split('/')[-1])
        rank = inputs.shape.ndims
        scale, offset = self._broadcast(self.gamma, rank), self._broadcast(self.beta, rank)
        constant = utils.constant_value(training)
        if constant is not None and not constant:
            mean, variance = self.moving_mean, self.moving_variance
        else:
            if self.adjustment:
                scale, offset = _compose(*(self._adjust(inputs, training) + (scale, offset)))
            axes = [axis for axis in range(rank) if axis != self.axis]
            mean, variance = tf.nn.moments(tf.cast(inputs, self._dtype), axes)
            mean = _where_training(training, mean, self.moving_mean)
            variance = _where_training(training, variance, self.moving_variance)
            new_mean, new_variance = mean, variance
            if self.renorm:
                r, d, new_mean, new_variance = self._renorm(mean, variance, training)
                r = self._broadcast(tf.stop_gradient(r, name='renorm_r'), rank)
                d = self._broadcast(tf.stop_gradient(d, name='renorm_d'), rank)
                scale, offset = _compose(r, d, scale, offset)
            if self._trainable:
                self._update(new_mean, new_variance, training)

        def shaped(value):
            return None if value is None else tf.cast(self._broadcast(value, rank), inputs.dtype)

        outputs = tf.nn.batch_normalization(
            inputs, shaped(mean), shaped(variance), shaped(offset), shaped(scale), self.epsilon)
        outputs.set_shape(inputs.shape)
        return outputs

    def _broadcast(self, value, rank):
        """Shapes a `[channels]` tensor for an axis that is not the last; any other is handed back."""
        if value is None or value.shape.ndims == rank or self.axis == rank - 1:
            return value
        shape = [1] * rank
        shape[self.axis] = self._channels
        return tf.reshape(value, shape)

    def _adjust(self, inputs, training):
        """The user's random scale and bias, only where training."""
        scale, bias = self.adjustment(tf.shape(inputs))
        return (_where_training(training, scale, tf.ones_like(scale)),
                _where_training(training, bias, tf.zeros_like(bias)))

    def _update(self, mean, variance, training):
        """Adds the updates of the moving statistics; where not training they change nothing.

        Only values depend on `training`: a variable that is a reference cannot be assigned in a branch.
        """
        decay = _where_training(training, 1.0 - self.momentum, 0.0)
        _add_update(_assign_moving_average(self.moving_mean, mean, decay, read_value=False))
        if not self.renorm:
            _add_update(_assign_moving_average(self.moving_variance, variance, decay, read_value=False))
            return
        stddev = _assign_moving_average(self.moving_stddev, tf.sqrt(variance + self.epsilon), decay)
        with ops.name_scope('AssignNewValue') as scope, ops.colocate_with(self.moving_variance):
            new_variance = _where_training(
                training, tf.nn.relu(stddev * stddev - self.epsilon), self.moving_variance)
            _add_update(tf.assign(self.moving_variance, new_variance, name=scope))

    def _renorm(self, mean, variance, training):
        """Corrections `r` and `d`, moments for the moving statistics; updates renorm's averages in place."""
        stddev = tf.sqrt(variance + self.epsilon)
        floor = tf.maximum(self.renorm_stddev, tf.sqrt(tf.constant(self.epsilon, self._dtype)))
        r = stddev / floor
        d = (mean - self.renorm_mean) / floor
        # The correction reads the averages before they are updated.
        with tf.control_dependencies([r, d]):
            mean = tf.identity(mean)
            stddev = tf.identity(stddev)
        rmin, rmax, dmax = (self.renorm_clipping.get(key) for key in ('rmin', 'rmax', 'dmax'))
        r = r if rmin is None else tf.maximum(r, rmin)
        r = r if rmax is None else tf.minimum(r, rmax)
        d = d if dmax is None else tf.minimum(tf.maximum(d, -dmax), dmax)
        corrections = (_where_training(training, r, tf.ones_like(r)),
                       _where_training(training, d, tf.zeros_like(d)))
        decay = _where_training(training, 1.0 - self.renorm_momentum, 0.0)
        updates = [_assign_moving_average(self.renorm_mean, mean, decay, read_value=False),
                   _assign_moving_average(self.renorm_stddev, stddev, decay, read_value=False)]
        with tf.control_dependencies(updates):
            return corrections + (tf.identity(mean), tf.identity(variance))


def add_weight(name, layer_name, shape, dtype, initializer, regularizer, trainable, getter=tf.get_variable):
    """Gets or creates a variable in the current scope; a new one adds its regularisation loss.

    Args:
      name: Name of the variable in the scope.
      layer_name: What TensorFlow 1's layers called it: the loss is named by that,
        `<scope>/kernel/Regularizer/…`.
      shape: Its shape, a list of ints.
      dtype: Its type.
      initializer: Its initializer.
      regularizer: Function of a tensor that returns a scalar tensor or None; or None.
      trainable: Whether it is to be trained.
      getter: `tf.get_variable`, or a function with its arguments.

    Returns:
      The variable.
    """
    existing = set(map(id, tf.get_collection_ref(tf.GraphKeys.GLOBAL_VARIABLES))) if regularizer else ()
    variable = getter(name, shape, dtype, initializer, trainable=trainable)
    if regularizer:
        parts = _stored(variable, existing)
        if not any(id(part) in existing for part in parts):
            for part in parts:
                with ops.name_scope(layer_name + '/Regularizer'):
                    loss = regularizer(part)
                if loss is not None:
                    tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, loss)
    return variable


def _stored(variable, existing):
    """The parts of a variable; of the cast that a custom getter makes of one, the variable itself, if it is new."""
    if not (isinstance(variable, tf.Tensor) and variable.op.type == 'Cast'):
        return variable_parts(variable)
    return [one for one in tf.get_collection_ref(tf.GraphKeys.GLOBAL_VARIABLES) if id(one) not in existing]


def variable_parts(variable):
    """The parts of a partitioned variable; any other has one, itself."""
    return list(variable) if isinstance(variable, variables.PartitionedVariable) else [variable]


def _checked_mode(training):
    """The mode as a bool, or a bool tensor or variable; anything else would pass for one or the other unseen."""
    if getattr(getattr(training, 'dtype', None), 'base_dtype', None) == tf.bool:
        return training
    if training is None or training in (False, True):
        return bool(training)
    raise TypeError(f'is_training must be a bool, 0, 1, or a bool tensor; got {training!r}.')


def _compose(scale, offset, then_scale, then_offset):
    """The transform `x * scale + offset` followed by another one, either part of which may be None."""
    if then_scale is not None:
        scale, offset = scale * then_scale, offset * then_scale
    if then_offset is not None:
        offset = offset + then_offset
    return scale, offset


def _where_training(training, value, otherwise):
    """`value` where training, and else `otherwise`; both are tensors, variables or numbers."""
    return utils.smart_cond(
        training, lambda: tf.convert_to_tensor(value), lambda: tf.convert_to_tensor(otherwise))


def _assign_moving_average(variable, value, decay, read_value=True):
    """Moves a variable towards `value` by the fraction `decay`; returns its new value, or the operation."""
    with ops.name_scope('AssignMovingAvg') as scope, ops.colocate_with(variable):
        dtype = variable.dtype.base_dtype
        delta = (variable - tf.cast(value, dtype)) * tf.cast(decay, dtype)
        # As in TensorFlow 1: `AssignMovingAvg`, or `AssignMovingAvg/AssignSubVariableOp` of a resource.
        name = None if hasattr(variable, 'handle') else scope
        return variable.assign_sub(delta, name=name, read_value=read_value)


def _add_update(update):
    if tf.executing_eagerly():
        raise RuntimeError('Batch normalisation in training needs a graph for its updates: call '
                           'tf.disable_v2_behavior() first, or build inside `with tf.Graph().as_default():`.')
    tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, update if isinstance(update, tf.Operation) else update.op)
