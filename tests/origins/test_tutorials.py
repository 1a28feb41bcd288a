"""Networks as tutorials write them are rows here: their weights, copied over, give the same blocks and results."""

import collections

import golden
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
import tutorials
from goldens import fill

from nets import layers, resnet, resnet_network, resnext

pytestmark = pytest.mark.usefixtures('optimised')  # see conftest.py

# The largest difference to Keras in float64, over the root mean square of what Keras gives; 4e-6 was measured.
LIMIT = 1e-5
WIDTHS = (64, 128, 256, 512)
Root = resnet_network.Root

SMALL = resnet.Layout(
    'basic', strided_unit='first', strided_conv='conv1', padding='SAME', shortcut='plain_projection',
    root=Root((('conv1', 64, 3, 1, 'VALID'),), (2, 1, 'SAME'), {}), conv_biases=True, batch_norm_epsilon=1e-3)
KERAS_STYLE = resnet.Layout(
    'bottleneck', (3, 4, 6, 3), strided_unit='first', strided_conv='conv1',
    root=Root((('conv1', 64, 7, 2, 'explicit'),), (3, 2, 'VALID'), {}), conv_biases=True, batch_norm_epsilon=1e-3)
RESNEXT = resnext.resnext_50_32x4d.layout._replace(
    padding='SAME', batch_norm_epsilon=1.001e-5,
    root=Root((('conv1', 64, 7, 2, 'explicit'),), (3, 2, (1, 1)), {'normalizer_fn': layers.biased_batch_norm}))
INIT_OPS = resnet.Layout(
    'basic', (1, 1, 1), strided_unit='first', strided_conv='conv1', padding='SAME',
    root=Root((('conv1', 64, 7, 2, 'SAME'),), None, {}), conv_biases=True, batch_norm_epsilon=1e-3)


def network_with_head(images, layout, num_classes, is_training, **arg_scope):
    """Logits, blocks and probabilities of a network whose classifier is its own."""
    network = resnet.network('net', layout)
    with slim.arg_scope(network.arg_scope(**arg_scope)):
        logits, end_points = network(images, num_classes, is_training=is_training)
    return logits, end_points


def network_with_flattened_head(images, layout, num_classes, is_training, **arg_scope):
    """The same for features that a 7x7 average pool and a dense layer read."""
    network = resnet.network('net', layout)
    with slim.arg_scope(network.arg_scope(**arg_scope)):
        net, end_points = network(images, is_training=is_training, global_pool=False)
        net = slim.flatten(slim.avg_pool2d(net, 7, stride=1))
    initializers = {name: value for name, value in arg_scope.items() if name == 'biases_initializer'}
    return slim.fully_connected(net, num_classes, activation_fn=None, scope='net/logits', **initializers), end_points


# The tutorial; ours; narrow widths; sizes, even and odd; the end point that is the tutorial's result, None for logits.
Tutorial = collections.namedtuple('Tutorial', ['reference', 'build_fn', 'layout', 'depths', 'sizes', 'result'])
NARROW = (8, 16, 24, 32)
TUTORIALS = {
    'small_18': Tutorial(tutorials.small, network_with_head, SMALL._replace(num_units=(2, 2, 2, 2)), NARROW,
                         [(32, 32), (33, 33), (32, 47)], None),
    'small_34': Tutorial(tutorials.small, network_with_head, SMALL._replace(num_units=(3, 4, 6, 3)), NARROW,
                         [(32, 32), (33, 33), (32, 47)], None),
    # Sizes that leave 7x7 for the tutorial's pool to average.
    'keras_style': Tutorial(tutorials.keras_style, network_with_head, KERAS_STYLE, NARROW,
                            [(224, 224), (225, 225), (200, 225)], 'predictions'),
    'resnext': Tutorial(tutorials.resnext, network_with_head, RESNEXT, (16, 32, 48, 64),
                        [(64, 64), (65, 65), (64, 81)], 'predictions'),
    'init_ops': Tutorial(tutorials.init_ops, network_with_flattened_head, INIT_OPS, NARROW[:3],
                         [(56, 56), (64, 64), (65, 81)], None),
}
REAL = [('small_18', (32, 32), 10), ('keras_style', (224, 224), 1000), ('resnext', (64, 65), 1000),
        ('init_ops', (64, 65), 1000)]


def layout_of(tutorial, depths):
    """Our layout with other widths."""
    return tutorial.layout._replace(depths=depths, root_multiplier=depths[0] / WIDTHS[0])


def difference(name, size, depths, num_classes):
    """The largest scaled difference to the tutorial, of its blocks and its result, for the tutorial's weights."""
    tutorial, images = TUTORIALS[name], fill.images((2,) + size + (3,))
    weights, expected = tutorials.compute(tutorial.reference, depths, tutorial.layout.num_units, num_classes, images)
    logits, end_points = tutorial.build_fn(tf.constant(images), layout_of(tutorial, depths), num_classes, False)
    tensors = {name: end_points['net/' + name] for name in expected if name != 'output'}
    tensors['output'] = end_points[tutorial.result] if tutorial.result else logits
    with tf.Session() as session:
        copy(session, tutorials.to_slim(weights))
        values = session.run(tensors)
    differences = {key: fill.compare_array(values[key], expected[key])['scaled'] for key in expected}
    if tutorial.result:
        # Each probability against its own size: the root mean square of 1000 of them is far below the largest, which
        # alone decides what softmax makes of an error of the logits (in `keras_style` 2e-5 of that, 4e-6 of its own).
        differences['output'] = np.abs(values['output'] / expected['output'] - 1).max()
    return max(differences.values())


def copy(session, weights):
    """Gives our variables the tutorial's weights: all of them, and there are no others."""
    variables = {variable.op.name[len('net/'):]: variable for variable in tf.global_variables()}
    assert sorted(variables) == sorted(weights)
    for name, variable in variables.items():
        if name == 'logits/weights':  # a dense layer is a 1x1 convolution in most of our networks
            weights[name] = weights[name].reshape(variable.shape.as_list())
        assert list(weights[name].shape) == variable.shape.as_list(), name
    golden.assign(session, [(variable, weights[name]) for name, variable in variables.items()])


@pytest.mark.parametrize(('name', 'size'), [(name, size) for name in TUTORIALS for size in TUTORIALS[name].sizes])
def test_network_computes_what_the_tutorial_does(name, size):
    assert difference(name, size, TUTORIALS[name].depths, 10) < LIMIT


@pytest.mark.parametrize(('name', 'size', 'num_classes'), REAL)
def test_network_of_real_width_computes_what_the_tutorial_does(name, size, num_classes):
    assert difference(name, size, WIDTHS[:len(TUTORIALS[name].depths)], num_classes) < LIMIT


def test_layers_in_the_style_of_keras_have_the_names_that_tutorials_print():
    weights, _ = tutorials.compute(tutorials.keras_style, NARROW, (3, 4, 6, 3), 10, fill.images((1, 224, 224, 3)))
    ours = tutorials.to_slim({name: np.array(name) for name in weights})
    assert ours['conv1/biases'] == 'conv1/bias'
    assert ours['conv1/BatchNorm/gamma'] == 'bn_conv1/gamma'
    assert ours['block1/unit_1/bottleneck_v1/conv1/weights'] == 'res2a_branch2a/kernel'
    assert ours['block1/unit_1/bottleneck_v1/conv1/BatchNorm/moving_mean'] == 'bn2a_branch2a/moving_mean'
    assert ours['block3/unit_6/bottleneck_v1/conv3/biases'] == 'res4f_branch2c/bias'
    assert ours['block4/unit_1/bottleneck_v1/shortcut/weights'] == 'res5a_branch1/kernel'
    assert ours['block4/unit_1/bottleneck_v1/shortcut/BatchNorm/beta'] == 'bn5a_branch1/beta'
    assert ours['logits/weights'] == 'fc1000/kernel'
    assert len(weights) == 2 * 54 + 4 * 53


def test_a_forgotten_projection_is_an_error_that_names_it():
    network = resnet.network('net', INIT_OPS._replace(shortcut='identity'))
    with slim.arg_scope(network.arg_scope()), pytest.raises(
            ValueError, match=r"A unit of depth 128 on inputs of depth 64 cannot have an identity as its shortcut; use "
                              r"shortcut='projection'\."):
        network(tf.placeholder(tf.float32, [2, 64, 64, 3]), global_pool=False)


INITIALIZERS = {'weights_initializer': 'xavier', 'biases_initializer': tf.constant_initializer(0.1)}


def test_kernels_are_xaviers_and_biases_constant():
    network_with_flattened_head(tf.placeholder(tf.float32, [2, 64, 64, 3]), INIT_OPS, 1000, True, **INITIALIZERS)
    variables = {variable.op.name: variable for variable in tf.trainable_variables()}
    with tf.Session() as session:
        tf.set_random_seed(1)
        session.run(tf.global_variables_initializer())
        values = session.run(variables)
    kernels = [value for name, value in values.items() if name.endswith('/weights')]
    biases = [value for name, value in values.items() if name.endswith('/biases')]
    assert len(kernels) == len(biases) == 10
    assert all((value == np.float32(0.1)).all() for value in biases)
    for kernel in kernels:
        # Glorot and Bengio 2010, equation 16; the receptive field counts on both sides.
        field, (fan_in, fan_out) = np.prod(kernel.shape[:-2]), kernel.shape[-2:]
        limit = np.sqrt(6 / (field * (fan_in + fan_out)))
        assert 0.99 * limit < np.abs(kernel).max() <= limit * (1 + 1e-6)
        assert abs(kernel.mean()) < 4 * limit / np.sqrt(3 * kernel.size)
        assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=5 / np.sqrt(kernel.size))


@pytest.mark.parametrize('name', list(TUTORIALS))
def test_three_steps_of_training_lower_the_loss(name):
    tutorial, shape = TUTORIALS[name], (8, 65, 65, 3)
    tf.set_random_seed(1)
    logits, _ = tutorial.build_fn(tf.constant(fill.images(shape)), layout_of(tutorial, tutorial.depths), 10, True,
                                  **(INITIALIZERS if name == 'init_ops' else {}))
    tf.losses.sparse_softmax_cross_entropy(fill.labels(8, 10), logits)
    loss = tf.losses.get_total_loss()
    train_op = slim.learning.create_train_op(loss, tf.train.MomentumOptimizer(0.01, 0.9))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        losses = [session.run(loss)]
        for _ in range(3):
            session.run(train_op)
            losses.append(session.run(loss))
    assert np.isfinite(losses).all()
    assert (np.diff(losses) < 0).all(), losses
