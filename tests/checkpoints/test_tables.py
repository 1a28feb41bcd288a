"""The table of a network's variables is that of its graph, by name, shape and order."""

import manifests
import pytest
import tensorflow.compat.v1 as tf

from nets import nets_factory, resnet
from nets.checkpoints import tables

# One row for everything that decides about variables.
LAYOUTS = {
    'basic': {}, 'bottleneck': {}, 'bottleneck_v2': {},
    'plain': {'unit': 'bottleneck', 'shortcut': 'plain_projection'},
    'zeros': {'unit': 'basic', 'shortcut': 'zero_pad', 'root': 'small'},
    'biased': {'unit': 'bottleneck', 'conv_biases': True, 'root': 'padded'},
    'grouped': {'unit': 'bottleneck', 'cardinality': 4, 'group_width': 32, 'se_ratio': 0.25, 'root': 'beta',
                'root_multiplier': 0.5},
    'wide': {'unit': 'bottleneck_v2', 'group_width': 128, 'root': 'preactivated', 'strided_unit': 'first'}}


@pytest.mark.parametrize('name', list(nets_factory.NETWORKS))
def test_every_network_has_the_variables_of_its_manifest(name):
    with open(manifests.path_of(name), encoding='utf-8') as file:
        rows = [line.split()[:2] for line in file if not line.startswith('#') and len(line.split()) == 3]
    assert [[name, 'x'.join(map(str, shape))] for name, shape in tables.variables(name).items()] == rows


@pytest.mark.parametrize(('num_classes', 'channels'), [(7, 1), (None, 4)])
@pytest.mark.parametrize('name', LAYOUTS)
def test_rows_of_ones_own_have_the_variables_of_their_graph(name, num_classes, channels, monkeypatch):
    layout = resnet.Layout(**dict({'unit': name, 'num_units': (2, 1), 'depths': (32, 64)}, **LAYOUTS[name]))
    builder = resnet.network('net', layout, scope='other')
    monkeypatch.setitem(nets_factory.NETWORKS, 'net', nets_factory.Network(builder, builder.arg_scope, None))
    nets_factory.get_network_fn('net', num_classes)(tf.placeholder(tf.float32, [1, 33, 33, channels]))
    built = [(variable.op.name, tuple(variable.shape.as_list())) for variable in tf.global_variables()]
    assert list(tables.variables('net', num_classes, channels).items()) == built
    assert tables.scope('net') == 'other'


def test_other_names_and_networks_without_a_layout_are_errors(monkeypatch):
    with pytest.raises(ValueError, match="no network 'vgg'; there are resnet_v1_14"):
        tables.variables('vgg')
    monkeypatch.setitem(nets_factory.NETWORKS, 'own', nets_factory.Network(lambda images: images, None, None))
    with pytest.raises(ValueError, match="'own' has no layout"):
        tables.variables('own')
