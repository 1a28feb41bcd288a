"""The table of batch normalisation cases that TensorFlow 1.15 and today's TensorFlow must agree on.

One source for both: `write_goldens.py` runs it under TensorFlow 1.15 and stores what came out,
`test_batch_norm.py` runs it under the TensorFlow at hand and compares. `batch_norm_runs.py` knows how to run
a case.
"""

import collections

import tensorflow.compat.v1 as tf
import tf_slim as slim

CHANNELS = 3
_FLAGS = {True: 'on', False: 'off', None: 'default'}


class Case(collections.namedtuple('Case', 'layer shape dtype training resource partitions calls kwargs')):
    """One call, or two with reuse, of a layer.

    Attributes:
      layer: 'batch_norm', or 'conv2d' or 'fully_connected' with the batch norm as normaliser.
      shape: Shape of the inputs.
      dtype: Name of their type.
      training: `is_training`: a bool, 'true' and 'false' for constant tensors, 'fed' for a placeholder.
      resource: Whether to use resource variables.
      partitions: Number of parts for a partitioner; 0 for none.
      calls: 2 to call the layer again with `reuse=True`.
      kwargs: Arguments of `batch_norm`; `Made` stands for what must be made inside the graph.
    """


def _case(layer='batch_norm', shape=(4, 3, 2, CHANNELS), dtype='float32', training=True, resource=False,
          partitions=0, calls=1, **kwargs):
    return Case(layer, shape, dtype, training, resource, partitions, calls, kwargs)


class Made:
    """An argument that is made inside the graph."""

    def __init__(self, make):
        self.make = make


def _adjustment(shape):
    del shape  # A deterministic stand-in for the usual random scale and bias.
    return tf.constant([0.9, 1.0, 1.2]), tf.constant([0.1, -0.1, 0.0])


_NCHW = {'shape': (4, CHANNELS, 2, 5), 'data_format': 'NCHW'}
_CLIPPING = {'renorm': True, 'renorm_decay': 0.8,
             'renorm_clipping': {'rmax': 1.1, 'rmin': 0.9, 'dmax': 0.2}}
_WEIGHTS = {'batch_weights': Made(lambda: tf.constant([1.0, 2.0, 0.5, 3.0]))}
_REGULARIZERS = {'param_regularizers': {'beta': slim.l2_regularizer(0.1), 'gamma': slim.l1_regularizer(0.2)}}
_INITIALIZERS = {'param_initializers': {
    'beta': tf.constant_initializer(0.3), 'gamma': tf.constant_initializer(1.5),
    'moving_mean': tf.constant_initializer(-0.25), 'moving_variance': tf.constant_initializer(2.25)}}
_COLLECTIONS = {'variables_collections': {
    'beta': ['betas', 'all'], 'gamma': ['gammas'], 'moving_mean': ['means'],
    'moving_variance': ['variances']}}
# Two calls update the same averages in an order that TensorFlow leaves open; so nothing moves there.
_STILL = 1.0


def _basic_cases():
    """Which operation is used, and what is learned."""
    return {f'basic_fused_{_FLAGS[fused]}_center_{_FLAGS[center]}_scale_{_FLAGS[scale]}':
            _case(fused=fused, center=center, scale=scale)
            for fused in (None, True, False) for center in (True, False) for scale in (True, False)}


def _training_cases(fused):
    """How training is asked for, times where the updates go."""
    updates = {'default': {}, 'none': {'updates_collections': None},
               'own': {'updates_collections': 'my_updates'}}
    return {f'updates_{key}_training_{training}': _case(fused=fused, training=training, scale=True, **kwargs)
            for key, kwargs in updates.items() for training in (True, False, 'true', 'false', 'fed')}


def _variable_cases(fused):
    """Kinds of variables, and what shares or shadows them."""
    in_place = {'fused': fused, 'updates_collections': None}
    return {
        'resource': _case(fused=fused, scale=True, resource=True),
        'resource_fed': _case(fused=fused, resource=True, training='fed'),
        'resource_updates_none': _case(resource=True, **in_place),
        'resource_updates_none_fed': _case(resource=True, training='fed', **in_place),
        'reuse': _case(fused=fused, scale=True, calls=2, decay=_STILL, **_REGULARIZERS),
        'reuse_updates_none': _case(calls=2, decay=_STILL, **in_place),
        'zero_debias': _case(fused=fused, zero_debias_moving_mean=True),
        'zero_debias_resource': _case(fused=fused, zero_debias_moving_mean=True, resource=True),
    }


def _input_cases(fused):
    """Layouts, ranks and types of the inputs."""
    inputs = {'nchw': _NCHW, 'rank_2': {'shape': (4, CHANNELS)}, 'rank_3': {'shape': (4, 2, CHANNELS)}}
    inputs.update({dtype: {'dtype': dtype} for dtype in ('float16', 'bfloat16', 'float64')})
    modes = {'': {}, '_evaluation': {'training': False}, '_updates_none': {'updates_collections': None}}
    return {name + mode: _case(fused=fused, scale=True, **dict(kwargs, **more))
            for name, kwargs in inputs.items() for mode, more in modes.items()}


def _special_cases():
    """What few pipelines ask for."""
    return {
        'rank_5_unfused': _case(shape=(2, 2, 2, 2, CHANNELS), fused=False, scale=True),
        'batch_weights': _case(scale=True, **_WEIGHTS),
        'batch_weights_plain': _case(center=False, **_WEIGHTS),
        'batch_weights_nchw': _case(scale=True, **dict(_WEIGHTS, **_NCHW)),
        'batch_weights_updates_none': _case(updates_collections=None, **_WEIGHTS),
        'renorm': _case(renorm=True, scale=True),
        'renorm_clipping': _case(scale=True, **_CLIPPING),
        'renorm_plain': _case(center=False, **_CLIPPING),
        'renorm_nchw': _case(scale=True, **dict(_CLIPPING, **_NCHW)),
        'renorm_evaluation': _case(training=False, **_CLIPPING),
        'renorm_fed': _case(training='fed', **_CLIPPING),
        'renorm_resource': _case(scale=True, resource=True, **_CLIPPING),
        'renorm_reuse': _case(calls=2, training=False, **_CLIPPING),
        'renorm_float16': _case(dtype='float16', scale=True, **_CLIPPING),
        'renorm_initializers': _case(scale=True, **dict(_CLIPPING, **_INITIALIZERS)),
        'adjustment': _case(scale=True, adjustment=_adjustment),
        'adjustment_plain': _case(center=False, adjustment=_adjustment),
        'adjustment_evaluation': _case(training=False, adjustment=_adjustment),
        'adjustment_fed': _case(training='fed', scale=True, adjustment=_adjustment),
        'adjustment_renorm': _case(scale=True, adjustment=_adjustment, **_CLIPPING),
        'initializers': _case(scale=True, **_INITIALIZERS),
        'regularizers': _case(scale=True, **_REGULARIZERS),
        'regularizers_updates_none': _case(scale=True, updates_collections=None, **_REGULARIZERS),
        'variables_collections': _case(scale=True, **_COLLECTIONS),
        'variables_collections_list': _case(scale=True, variables_collections=['mine']),
        'variables_collections_updates_none': _case(scale=True, updates_collections=None, **_COLLECTIONS),
        'outputs_collections': _case(outputs_collections='my_outputs', activation_fn=tf.nn.relu),
        'frozen': _case(scale=True, trainable=False),
        'frozen_unfused': _case(scale=True, trainable=False, fused=False),
        'frozen_fed': _case(trainable=False, training='fed'),
        'frozen_updates_none': _case(scale=True, trainable=False, updates_collections=None),
        'decay_tensor': _case(decay=Made(lambda: tf.constant(0.7))),
        'decay_tensor_unfused': _case(fused=False, decay=Made(lambda: tf.constant(0.7))),
        'tiny_epsilon': _case(epsilon=1e-7, scale=True),
        'partitioned': _case(scale=True, partitions=2, shape=(4, 3, 2, 4)),
        'partitioned_renorm': _case(scale=True, partitions=2, shape=(4, 3, 2, 4), **_CLIPPING),
        'decay_zero': _case(decay=0.0),
        'decay_one': _case(decay=1.0),
    }


def _layer_cases():
    """As the normaliser of another layer."""
    return {
        'conv2d': _case('conv2d', scale=True),
        'conv2d_evaluation': _case('conv2d', training=False),
        'conv2d_unfused': _case('conv2d', fused=False, scale=True),
        'conv2d_fed': _case('conv2d', training='fed'),
        'conv2d_updates_none': _case('conv2d', updates_collections=None),
        'conv2d_renorm': _case('conv2d', **_CLIPPING),
        'conv2d_regularizers': _case('conv2d', scale=True, **_REGULARIZERS),
        'conv2d_collections': _case('conv2d', scale=True, **_COLLECTIONS),
        'conv2d_resource': _case('conv2d', scale=True, resource=True),
        'conv2d_reuse': _case('conv2d', calls=2, decay=_STILL, **_REGULARIZERS),
        'conv2d_nchw': _case('conv2d', scale=True, **_NCHW),
        'conv2d_float16': _case('conv2d', dtype='float16', scale=True),
        'fully_connected': _case('fully_connected', shape=(6, 4), scale=True),
        'fully_connected_unfused': _case('fully_connected', shape=(6, 4), fused=False),
    }


def _all_cases():
    cases = [_basic_cases(), _special_cases(), _layer_cases()]
    for fused in (True, False):
        for group in (_training_cases, _variable_cases, _input_cases):
            cases.append({f'{name}_fused_{_FLAGS[fused]}': case for name, case in group(fused).items()})
    return collections.OrderedDict((name, case) for group in cases for name, case in sorted(group.items()))


CASES = _all_cases()
