"""Builds the cases of the golden files with this library, and compares; see goldens/README.md."""

import contextlib
import os

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim
from goldens import fill

from nets import nets_factory, resnet_utils, resnet_v1, resnet_v2

FOLDER = os.path.dirname(os.path.abspath(fill.__file__))
LATER = os.path.join(FOLDER, 'later_revision')
MODULES = {'resnet_v1': resnet_v1, 'resnet_v2': resnet_v2}

# The limits of goldens/README.md for "scaled" differences.
INFERENCE_LIMIT = 2e-5
TRAINING_LIMIT = 1e-4


def module_of(net):
    """The module that holds a network, for example that of 'resnet_v1_50'."""
    return MODULES[net[:len('resnet_v1')]]


def arg_scope(case):
    """The arg scope of a case; None where it runs in none."""
    if 'arg_scope' not in case and 'kwargs' in case and 'function' in case:
        return None
    arguments = dict(case.get('arg_scope', {}))
    if 'activation_fn' in arguments:
        arguments['activation_fn'] = getattr(tf.nn, arguments['activation_fn'])
    return resnet_utils.resnet_arg_scope(**arguments)


def blocks(net, rows):
    """Blocks from the arguments of `resnet_v1_block` or `resnet_v2_block`."""
    block = getattr(module_of(net), net + '_block')
    return [block(**row) for row in rows]


def build(case, later=True):
    """Builds the network of a case in the default graph.

    Args:
      case: An entry of activations.json.
      later: Whether it comes from `later_revision/`. The others know neither squeezed logits nor the end point
        `global_pool`; both are undone for them.

    Returns:
      The placeholder of the images, the network's result and its end points.
    """
    kwargs = dict(case['kwargs']) if later else dict(case['kwargs'], spatial_squeeze=False)
    images = tf.placeholder(tf.float32, case.get('placeholder') or case['input']['shape'], name='images')
    with slim.arg_scope(arg_scope(case)):
        net, end_points = nets_factory.networks_map[case['net']](images, **kwargs)
    if not later:
        end_points.pop('global_pool', None)
    return images, net, end_points


def fill_variables(session, salt='', first=0):
    """Gives every global variable its golden value, or those from the `first` on."""
    assign(session, [(variable, fill.fill_variable(variable.op.name, variable.shape.as_list(), salt))
                     for variable in tf.global_variables()[first:]])


def assign(session, pairs):
    """Gives variables values, all in one run: a run for each takes minutes in the deep networks."""
    initializers = [variable.initializer for variable, _ in pairs]
    session.run(initializers, {op.inputs[1]: value for op, (_, value) in zip(initializers, pairs)})


class Sessions:
    """Sessions for tests in a row, one for those that ask with the same key: its graph keeps what they build."""

    def __init__(self):
        self._key = self._session = None

    def get(self, key):
        """The session for a key; that of another key ends."""
        if key != self._key:
            self.close()
            self._key, self._session = key, tf.Session(graph=tf.Graph())
        return self._session

    def close(self):
        """Ends the session, if there is one."""
        if self._session:
            self._session.close()


@contextlib.contextmanager
def new_variables(session, salt=''):
    """Makes the graph of a session the default one, and gives the variables that it gets their golden values."""
    with session.graph.as_default():
        held = len(tf.global_variables())
        yield
        fill_variables(session, salt, held)


def worst(actual, expected):
    """The largest scaled difference of two dicts of end points, after their keys and order were found equal."""
    assert list(actual) == list(expected)
    return max(fill.compare(name, actual[name], expected[name])['scaled'] for name in expected)


def images_of(case):
    """The golden images of a case."""
    return fill.images(case['input']['shape'], case['input']['seed'])


def differences(actual, expected):
    """The largest absolute difference of two dicts of arrays, after their keys and order were found equal."""
    assert list(actual) == list(expected)
    return max(float(np.abs(actual[name] - expected[name]).max()) for name in expected)
