"""Narrow networks of every origin, and random checkpoints and files for them."""

import narrow_rows
import numpy as np
import tensorflow.compat.v1 as tf

from nets import nets_factory, resnet
from nets.checkpoints import origins, tables
from nets.checkpoints.writers import checkpoint

_BOTTLENECK = {'depths': (8, 16), 'root_multiplier': 1 / 8, 'num_units': (1, 2)}
_GROUPED = {'depths': (16, 32), 'root_multiplier': 1 / 4, 'num_units': (1, 2)}
# A narrow network, the one that it is made of, and what it has in place of its columns.
ROWS = {
    'keras_narrow': ('resnet_keras_50', _BOTTLENECK),
    'keras_v2_narrow': ('resnet_keras_v2_50', _BOTTLENECK),
    'keras_resnext_narrow': ('resnext_keras_50_32x4d', _GROUPED),
    'v1_narrow': ('resnet_v1_50', _BOTTLENECK),
    'v15_narrow': ('resnet_v15_50', _BOTTLENECK),
    'v15_basic_narrow': ('resnet_v15_18', _BOTTLENECK),
    'se_resnext_narrow': ('se_resnext_50_32x4d', _GROUPED),
}


def register(monkeypatch):
    """Adds the narrow networks to the factory."""
    for name, (origin, changes) in dict(ROWS, **narrow_rows.NVIDIA).items():
        builder = resnet.network(name, nets_factory.NETWORKS[origin].builder.layout._replace(**changes))
        monkeypatch.setitem(nets_factory.NETWORKS, name, nets_factory.Network(
            builder, builder.arg_scope, nets_factory.NETWORKS[origin].preset))


def random_variables(network, num_classes=5, seed=0):
    """Random values for all variables of a network, by full name, such that activations stay of order one."""
    rng = np.random.default_rng(seed)

    def draw(name, shape):
        if name.endswith(('variance', 'gamma')):
            return rng.uniform(0.5, 1.5, shape)
        return rng.normal(0, np.sqrt(1 / np.prod(shape[:-1])) if len(shape) == 4 else 0.2, shape)

    return {name: draw(name, shape).astype(np.float32)
            for name, shape in tables.variables(network, num_classes).items()}


def write_checkpoint(prefix, network, **kwargs):
    """Writes a checkpoint of random values and returns them."""
    variables = random_variables(network, **kwargs)
    checkpoint.write(str(prefix), variables, step=7)
    return variables


def read_checkpoint(prefix):
    """All tensors of a checkpoint but its step."""
    reader = tf.train.NewCheckpointReader(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name != 'global_step'}


def origin_arrays(network, variables):
    """Variables by full name as arrays of the network's origin."""
    below = {name.split('/', 1)[1]: array for name, array in variables.items()}
    return origins.to_origin(below, origins.origin_of(network))


def assert_equal(actual, expected):
    assert sorted(actual) == sorted(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array, strict=True)
