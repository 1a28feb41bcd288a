"""Builds and trains the cases of `batch_norm_cases.py`, under TensorFlow 1.15 or today's."""

import collections
import zlib

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
from batch_norm_cases import CASES, CHANNELS, Made

STEPS = 3
_LEARNING_RATE = 0.1
# Values that a trained network may have; any other variable keeps its initial value.
_VALUES = {
    'gamma': (0.5, 1.5), 'beta': (-1.0, 1.0), 'moving_mean': (-0.5, 0.5), 'moving_variance': (0.5, 2.0),
    'moving_stddev': (0.7, 1.4), 'renorm_mean': (-0.5, 0.5), 'renorm_stddev': (0.7, 1.4),
    'weights': (-0.5, 0.5)}

Layers = collections.namedtuple('Layers', 'batch_norm conv2d')
SLIM = Layers(slim.batch_norm, slim.conv2d)


class Built:
    """The graph of a case, in the default graph.

    Attributes:
      inputs: Float32 placeholder; the layer gets it cast to the type of the case.
      training: The placeholder for `is_training`, or None.
      outputs: What the layer gave, one for each call.
      updates: Lists of update operations by collection.
    """

    def __init__(self, case, layers):
        self.case = case
        self.inputs = tf.placeholder(tf.float32, case.shape, 'inputs')
        self.training = tf.placeholder(tf.bool, [], 'training') if case.training == 'fed' else None
        training = case.training
        if isinstance(training, str):
            training = tf.constant(training == 'true') if self.training is None else self.training
        partitioner = tf.fixed_size_partitioner(case.partitions) if case.partitions else None
        self.outputs = []
        with tf.variable_scope('net', use_resource=case.resource, partitioner=partitioner):
            for call in range(case.calls):
                inputs = tf.cast(self.inputs * (1.0 + call), case.dtype)
                self.outputs.append(_call(case, layers, inputs, training, reuse=call > 0 or None))
        self.updates = {name: tf.get_collection(name) for name in (tf.GraphKeys.UPDATE_OPS, 'my_updates')}

    def structure(self):
        """What a pipeline can see of the graph by name, as values that JSON can hold."""
        graph = tf.get_default_graph()
        collections_of = collections.defaultdict(list)
        for key in sorted(graph.get_all_collection_keys(), key=str):
            for item in graph.get_collection(key):
                if hasattr(item, 'initializer'):
                    collections_of[item.name].append(str(key))
        return {
            'variables': [[v.name, v.shape.as_list(), v.dtype.base_dtype.name, bool(v.trainable),
                           collections_of[v.name]] for v in tf.global_variables()],
            'updates': {key: [value.name for value in values]
                        for key, values in self.updates.items() if values},
            'losses': [loss.name for loss in tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)],
            'outputs': [[output.name, output.dtype.name, output.shape.as_list()] for output in self.outputs],
            'aliases': [list(output.aliases) for output in tf.get_collection('my_outputs')],
        }


def run(name, layers):
    """Builds a case in a new graph.

    Args:
      name: A key of CASES.
      layers: The `Layers` to call.

    Returns:
      The structure of the graph, as `Built.structure` gives it; and a function of no arguments that trains it
      for three steps and returns what came out, a dict from names to arrays.
    """
    graph = tf.Graph()
    with graph.as_default():
        built = Built(CASES[name], layers)

    def numbers():
        with graph.as_default(), tf.Session() as session:
            return _train(built, session)

    with graph.as_default():
        return built.structure(), numbers


def _call(case, layers, inputs, training, reuse):
    """Calls the layer of the case."""
    kwargs = {key: value.make() if isinstance(value, Made) else value for key, value in case.kwargs.items()}
    kwargs['is_training'] = training
    if case.layer == 'batch_norm':
        return layers.batch_norm(inputs, reuse=reuse, scope='BatchNorm', **kwargs)
    data_format = {'data_format': kwargs['data_format']} if 'data_format' in kwargs else {}
    if case.layer == 'fully_connected':
        return slim.fully_connected(
            inputs, CHANNELS, normalizer_fn=layers.batch_norm, normalizer_params=kwargs, reuse=reuse,
            scope='layer')
    return layers.conv2d(
        inputs, CHANNELS, 3, normalizer_fn=layers.batch_norm, normalizer_params=kwargs, reuse=reuse,
        weights_regularizer=slim.l2_regularizer(0.01), scope='layer', **data_format)


def _train(built, session):
    """Evaluates where training is fed, then trains for some steps of gradient descent."""
    variables = tf.global_variables()
    trained, step = _step(built)
    session.run(tf.global_variables_initializer())
    results = session.run({'initial/' + v.op.name: v for v in variables if not any(v is one for one in trained)})
    _set(session, [(variable, _random(variable)) for variable in variables if _leaf(variable) in _VALUES])
    if built.training is not None:
        results['evaluation/outputs'] = session.run(step['outputs'], _feed(built, 0, False))
    for number in range(STEPS):
        values = session.run(step, _feed(built, number, True))
        results.update({f'step_{number}/{key}': value for key, value in values.items() if key != 'updates'})
        _set(session, [(variable, value - _LEARNING_RATE * values.get('gradient/' + variable.op.name, 0.0))
                       for variable, value in zip(trained, session.run(trained))])
    results.update(session.run({'final/' + v.op.name: v for v in variables}))
    return results


def _step(built):
    """The variables to be trained, and what one step computes, by name."""
    outputs = [tf.cast(output, tf.float32) for output in built.outputs]
    losses = [tf.reduce_sum(output * _numbers('probe', output.shape.as_list())) for output in outputs]
    losses += [tf.cast(loss, tf.float32) for loss in tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)]
    trained = [v for v in tf.global_variables() if v.trainable]
    gradients = tf.gradients(losses, [built.inputs] + trained)
    step = {'outputs': tf.stack(outputs), 'loss': tf.add_n(losses), 'updates': list(built.updates.values())}
    names = ['inputs'] + [v.op.name for v in trained]
    for name, gradient in zip(names, gradients):
        if gradient is not None:
            step['gradient/' + name] = gradient
    return trained, step


def _feed(built, number, training):
    feed = {built.inputs: _numbers(f'inputs_{number}', built.inputs.shape.as_list(), -2.0, 3.0)}
    if built.training is not None:
        feed[built.training] = training
    return feed


def _set(session, pairs):
    """Gives variables values, in one run."""
    initializers = [variable.initializer for variable, _ in pairs]
    session.run(initializers, {op.inputs[1]: value for op, (_, value) in zip(initializers, pairs)})


def _leaf(variable):
    """The last part of a variable's name, without the number of its part."""
    parts = variable.op.name.split('/')
    return parts[-2] if parts[-1].startswith('part_') else parts[-1]


def _random(variable):
    """Numbers in the range that `_VALUES` has for the name of a variable."""
    return _numbers(variable.op.name, variable.shape.as_list(), *_VALUES[_leaf(variable)])


def _numbers(name, shape, low=-1.0, high=1.0):
    """Numbers that depend on `name` only."""
    seed = zlib.crc32(name.encode()) & 0x7fffffff
    return np.random.RandomState(seed).uniform(low, high, shape).astype(np.float32)
