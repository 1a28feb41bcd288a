"""Variables, losses, updates, end points, names and signatures equal those of TensorFlow 1.15's networks."""

import functools
import inspect

import golden
import manifests
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from goldens import fill

from nets import nets_factory, resnet_utils

NETS = ['resnet_v{}_{}'.format(version, depth) for version in (1, 2) for depth in (50, 101, 152, 200)]
load = functools.lru_cache(maxsize=None)(fill.load)


def configurations():
    for net in NETS:
        for folder in (golden.FOLDER, golden.LATER):
            for name in load('variables_' + net, folder)['configurations']:
                yield pytest.param(net, folder, name, id='-'.join(
                    [net, 'later' if folder == golden.LATER else 'contrib', name]))


def collections_of(variable):
    graph = tf.get_default_graph()
    return sorted(name for name in graph.get_all_collection_keys()
                  if any(variable is other for other in graph.get_collection_ref(name)))


@pytest.mark.parametrize('net', NETS)
def test_training_graph_has_the_same_variables_losses_and_updates(net):
    expected = load('variables_' + net, golden.LATER)
    configuration = expected['configurations'][expected['variables_of']]
    images = tf.placeholder(tf.float32, configuration['placeholder'])
    with slim.arg_scope(resnet_utils.resnet_arg_scope()):
        nets_factory.networks_map[net](images, is_training=True, **configuration['kwargs'])
    trainable = tf.trainable_variables()
    assert [[v.op.name, v.shape.as_list(), any(v is t for t in trainable), collections_of(v)]
            for v in tf.global_variables()] == expected['variables']
    assert all(v.dtype.base_dtype == tf.float32 for v in tf.global_variables())
    losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    assert [loss.name for loss in losses] == expected['regularization_losses']['names']
    assert len(tf.get_collection(tf.GraphKeys.UPDATE_OPS)) == expected['update_ops']['training']


@pytest.mark.parametrize(('net', 'folder', 'name'), list(configurations()))
def test_end_points_have_the_same_keys_names_and_shapes(net, folder, name):
    """Variables are real in one configuration of each network; the others differ in what is computed of them."""
    expected = load('variables_' + net, folder)
    configuration = expected['configurations'][name]
    case = {'net': net, 'kwargs': dict(configuration['kwargs'], is_training=False),
            'placeholder': configuration['placeholder']}
    real = name == expected['variables_of']
    if not real:
        case['arg_scope'] = {'weight_decay': 0.0}
    with tf.variable_scope(tf.get_variable_scope(), custom_getter=None if real else manifests.stand_in):
        _, output, end_points = golden.build(case, later=folder == golden.LATER)
    assert bool(tf.global_variables()) == real
    assert [output.name, output.shape.as_list()] == configuration['output']
    assert [[key, tensor.name, tensor.shape.as_list()]
            for key, tensor in end_points.items()] == configuration['end_points']
    assert len(tf.get_collection(tf.GraphKeys.UPDATE_OPS)) == expected['update_ops']['inference']


def parameters(function):
    for parameter in inspect.signature(function).parameters.values():
        default = parameter.default
        if default is tf.nn.relu:
            default = 'relu'
        yield [parameter.name] if default is inspect.Parameter.empty else [parameter.name, default]


def test_signatures_are_those_of_the_newest_slim():
    expected = fill.load('signatures', golden.FOLDER)['models repository']
    modules = dict(golden.MODULES, resnet_utils=resnet_utils)
    for module, functions in expected.items():
        for name, entry in functions.items():
            if name == 'NoOpScope':
                continue  # a helper of upstream's implementation that nobody calls
            function = getattr(modules[module], name)
            if entry.get('class'):
                assert list(function._fields) == entry['fields']
                continue
            own = list(parameters(function))
            assert own[:len(entry['parameters'])] == entry['parameters'], name  # what is ours comes after
            assert slim.has_arg_scope(function) == entry.get('arg_scope', False), name
            for key, value in entry.get('attributes', {}).items():
                assert getattr(function, key) == value


@pytest.mark.parametrize('name', list(nets_factory.NETWORKS))
def test_checkpoint_names_and_shapes_stay(name):
    """`python tests/manifests.py` writes them anew, when they are meant to change."""
    with open(manifests.path_of(name), encoding='utf-8') as file:
        assert manifests.manifest(name) == file.read()
