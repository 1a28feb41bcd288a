"""Our `resnet_keras_*` networks are Keras Applications, layer by layer, with the weights copied over."""

import keras
import keras_reference
import numpy as np
import optional
import pytest
import tensorflow.compat.v1 as tf
from golden import assign

from nets import nets_factory
from nets.checkpoints import keras_names

pytestmark = pytest.mark.usefixtures('optimised')  # see conftest.py

LIMIT = 1e-5
# Even and odd, square and not; Keras takes no less than 32.
SIZES = [(32, 32), (64, 64), (65, 65), (64, 81)]
FULL_SIZE = (224, 224)  # for the shallowest networks only
NETWORKS = {
    'resnet_keras_50': keras.applications.ResNet50,
    'resnet_keras_101': keras.applications.ResNet101,
    'resnet_keras_152': keras.applications.ResNet152,
    'resnet_keras_v2_50': keras.applications.ResNet50V2,
    'resnet_keras_v2_101': keras.applications.ResNet101V2,
    'resnet_keras_v2_152': keras.applications.ResNet152V2,
    'resnext_keras_50_32x4d': keras_reference.resnext_50,
}


def units_of(network):
    """Our end point and Keras' layer of every unit and block of a network."""
    layout = nets_factory.networks_map[network].layout
    unit_scope = keras_names.kind_of(network).unit
    pairs = []
    for block, num_units in enumerate(layout.num_units, 1):
        layers = ['conv{}_block{}_out'.format(block + 1, unit) for unit in range(1, num_units + 1)]
        pairs += [('{}/block{}/unit_{}/{}'.format(network, block, unit, unit_scope), layer)
                  for unit, layer in enumerate(layers, 1)]
        pairs.append(('{}/block{}'.format(network, block), layers[-1]))
    return pairs


class Reference:
    """A network of Keras: its arrays, and what its units and its classifier make of images."""

    def __init__(self, network, **kwargs):
        self.pairs = units_of(network) + [(network + '/spatial_squeeze', 'predictions')]
        model = keras_reference.build(NETWORKS[network], **kwargs)
        self.arrays = keras_reference.arrays_of(model)
        self._outputs = keras_reference.outputs(model, [layer for _, layer in self.pairs])

    def run(self, images):
        names = [name for name, _ in self.pairs]
        return dict(zip(names, keras_reference.eagerly(self._outputs, images)))


class Ours:
    """A network of ours with arrays for its variables, by name below its scope."""

    def __init__(self, network, arrays, **kwargs):
        self.images = tf.placeholder(tf.float32, [None, None, None, 3])
        network_fn = nets_factory.get_network_fn(network, num_classes=11, **kwargs)
        self.logits, self.end_points = network_fn(self.images)
        self._session = tf.Session()
        values = {network + '/' + name: array for name, array in arrays.items()}
        variables = tf.global_variables()
        assert sorted(values) == sorted(variable.op.name for variable in variables)
        assign(self._session, [(variable, values[variable.op.name]) for variable in variables])

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._session.close()

    def run(self, images, fetches):
        return self._session.run(fetches, {self.images: images})


def softmax(logits):
    return keras.activations.softmax(keras.ops.convert_to_tensor(logits)).numpy()


def images_of(size):
    return np.random.default_rng(size).normal(0, 1, (1 if size == FULL_SIZE else 2,) + size + (3,)).astype(np.float32)


@pytest.fixture(scope='module', params=[
    pytest.param(name, marks=optional.soak if name.endswith(('101', '152')) else ()) for name in NETWORKS])
def reference(request):
    yield request.param, keras_reference.eagerly(Reference, request.param)
    keras.backend.clear_session()


def test_units_logits_and_probabilities_are_those_of_keras(reference):
    network, theirs = reference
    with Ours(network, keras_names.to_slim(theirs.arrays, keras_names.kind_of(network))) as ours:
        for size in SIZES + ([FULL_SIZE] if network.startswith('resnet') and network.endswith('50') else []):
            images = images_of(size)
            expected = theirs.run(images)
            expected['predictions'] = keras_reference.eagerly(softmax, expected[network + '/spatial_squeeze'])
            actual = ours.run(images, {name: ours.end_points[name] for name in expected})
            errors = {name: keras_reference.error(actual[name], expected[name]) for name in expected}
            worst = max(errors, key=errors.get)
            print('{} {}: {:.1e} at {}'.format(network, size, errors[worst], worst))
            assert errors[worst] <= LIMIT, (size, worst)


@pytest.mark.parametrize('reference', ['resnet_keras_50'], indirect=True)
def test_slims_own_network_is_keras_where_the_pool_sees_an_odd_size(reference):
    """The stride in a block's last unit is the same function as that in the next one's first.

    The pool's SAME padding equals one pixel all around only where what the 7x7 convolution leaves is odd: at sizes of
    a multiple of 4 plus 1. An odd size alone is not enough.
    """
    network, theirs = reference
    arrays = keras_names.fold_biases(keras_names.to_slim(theirs.arrays, keras_names.kind_of(network)))
    with Ours('resnet_v1_50', arrays, batch_norm_epsilon=1.001e-5) as ours:
        def error_at(size):
            images = images_of(size)
            expected = theirs.run(images)[network + '/spatial_squeeze']
            return keras_reference.error(ours.run(images, ours.logits), expected)

        for size in [(65, 65), (49, 81), (225, 225)]:
            assert error_at(size) <= LIMIT, size
        for size in [(64, 64), (67, 67), (65, 64)]:
            assert error_at(size) > 0.01, size
