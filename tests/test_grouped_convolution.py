"""A grouped convolution is one operation or many, with the same variables and numbers, as the device can.

Without oneDNN, which the tests do without, TensorFlow's processor kernels have no gradient of the one operation, and no
forward pass of one that is fused with an activation; `test_a_network_trains_…` goes to a process with oneDNN.
"""

import os
import subprocess
import sys

import golden
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from goldens import fill

from nets import convolution, layers, resnet, resnet_utils

pytestmark = pytest.mark.usefixtures('optimised')  # see conftest.py


def both_forms(images, **kwargs):
    """The bare layer in both forms, with shared variables."""
    nets = []
    for one_op in (False, True):
        with slim.arg_scope([convolution.grouped], one_op=one_op):
            nets.append(layers.conv2d(images, 12, 3, num_groups=4, activation_fn=None,
                                      biases_initializer=None, scope='conv', reuse=bool(nets), **kwargs))
    return nets


def naive(images, weights, stride):
    """Each group of filters on its own group of channels, by NumPy; VALID."""
    groups = images.shape[3] // weights.shape[2]
    height, width = [(size - 3) // stride + 1 for size in images.shape[1:3]]
    result = np.zeros([images.shape[0], height, width, weights.shape[3]])
    per_group = weights.shape[3] // groups
    for filter_ in range(weights.shape[3]):
        first = filter_ // per_group * weights.shape[2]
        channels = images[..., first:first + weights.shape[2]]
        for y in range(height):
            for x in range(width):
                window = channels[:, y * stride:y * stride + 3, x * stride:x * stride + 3]
                result[:, y, x, filter_] = (window * weights[..., filter_]).sum((1, 2, 3))
    return result


@pytest.mark.parametrize('size', [(8, 9), (7, 7)])
@pytest.mark.parametrize('stride', [1, 2])
def test_both_forms_equal_a_naive_grouped_convolution(stride, size):
    images = tf.placeholder(tf.float32, (2,) + size + (8,))
    nets = both_forms(images, stride=stride, padding='VALID')
    weights, = tf.global_variables()
    assert weights.op.name == 'conv/weights'
    assert weights.shape.as_list() == [3, 3, 2, 12]
    values = fill.images((2,) + size + (8,), 3)
    with tf.Session() as session:
        golden.fill_variables(session)
        expected = naive(values, session.run(weights), stride)
        np.testing.assert_allclose(session.run(nets[0], {images: values}), expected, atol=1e-6)
        if not tf.__version__.startswith('1.'):  # whose CPU kernels cannot
            np.testing.assert_allclose(session.run(nets[1], {images: values}), expected, atol=1e-6)


@pytest.mark.skipif(tf.__version__.startswith('1.'), reason='its CPU kernels have one form only')
@pytest.mark.parametrize('rate', [1, 2])
def test_atrous_grouped_convolutions_are_equal_in_both_forms(rate):
    images = tf.placeholder(tf.float32, [2, 9, 8, 8])
    nets = both_forms(images, rate=rate)
    with tf.Session() as session:
        golden.fill_variables(session)
        a, b = session.run(nets, {images: fill.images([2, 9, 8, 8], 3)})
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_result_is_found_by_the_same_name_in_both_forms():
    for one_op in (False, True):
        with tf.Graph().as_default() as graph, slim.arg_scope([convolution.grouped], one_op=one_op):
            layers.conv2d(tf.zeros([1, 5, 5, 4]), 4, 3, num_groups=2, scope='conv')
            assert graph.get_tensor_by_name('conv/Conv2D:0').shape.as_list() == [1, 5, 5, 4]
            assert len([op for op in graph.get_operations() if op.type == 'Conv2D']) == (1 if one_op else 2)


def test_the_form_is_the_one_that_this_processor_trains():
    images = tf.placeholder(tf.float32, [2, 9, 9, 8])
    net = layers.conv2d(images, 12, 3, num_groups=4, scope='conv')
    assert net.graph.get_operation_by_name('conv/Conv2D').type == (
        'Conv2D' if convolution.cpu_runs(groups=True) else 'ConcatV2')
    gradients = tf.gradients(tf.reduce_sum(tf.square(net)), tf.trainable_variables() + [images])
    with tf.Session() as session:
        golden.fill_variables(session)
        values = session.run(gradients, {images: fill.images([2, 9, 9, 8], 3)})
    assert all(np.isfinite(value).all() and np.abs(value).max() > 0 for value in values)


@pytest.mark.skipif(tf.__version__.startswith('1.'), reason='it has no such kernels')
@pytest.mark.parametrize('enabled', ['0', '1'])
def test_a_network_trains_with_and_without_the_kernels_of_onednn(enabled, tmp_path):
    """One process writes a checkpoint of a trained step in the form its kernels allow; this one reads it in its own."""
    code = '''
import sys
import tensorflow.compat.v1 as tf
import numpy as np
sys.path.insert(0, 'tests')
import golden
from nets import convolution, resnet
tf.disable_v2_behavior()
layout = resnet.Layout(num_units=(1, 1), depths=(16, 16), cardinality=4, group_width=16, root='small')
images = tf.constant(golden.fill.images([2, 9, 9, 3], 1))
logits, _ = resnet.network('net', layout)(images, 3)
loss = tf.losses.sparse_softmax_cross_entropy([0, 1], logits)
train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
with tf.Session() as session:
    golden.fill_variables(session)
    session.run(train)
    print(convolution.cpu_runs(groups=True), len([o for o in session.graph.get_operations() if o.type == 'Conv2D']),
          *session.run(logits).ravel())
    tf.train.Saver().save(session, sys.argv[1])
'''
    path = str(tmp_path / 'model.ckpt')
    result = subprocess.run([sys.executable, '-c', code, path], stdout=subprocess.PIPE, universal_newlines=True,
                            env=dict(os.environ, TF_ENABLE_ONEDNN_OPTS=enabled), check=True,
                            cwd=golden.FOLDER.rsplit('tests', 1)[0])
    can, num_convolutions, *logits = result.stdout.split()[-8:]
    if enabled == '0':
        assert can == 'False'
    assert int(num_convolutions) == (9 if can == 'True' else 9 + 2 * 3)
    layout = resnet.Layout(num_units=(1, 1), depths=(16, 16), cardinality=4, group_width=16, root='small')
    net, _ = resnet.network('net', layout)(tf.constant(fill.images([2, 9, 9, 3], 1)), 3)
    with tf.Session() as session:
        tf.train.Saver().restore(session, path)
        np.testing.assert_allclose(session.run(net).ravel(), np.array(logits, float), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(tf.__version__.startswith('1.'), reason='it has no such kernels')
def test_the_processor_is_asked_for_each_type():
    """OneDNN has no gradient in float16 and float64: the form is then the other one."""
    code = ('import tensorflow.compat.v1 as tf, numpy as np; from nets import convolution, layers\n'
            'for dtype in (tf.float32, tf.float16, tf.float64):\n'
            '    with tf.Graph().as_default(), tf.Session() as session:\n'
            '        images = tf.constant(np.ones([2, 9, 9, 8]), dtype)\n'
            '        net = layers.conv2d(images, 8, 3, num_groups=4)\n'
            '        gradients = tf.gradients(net, tf.trainable_variables())\n'
            '        session.run(tf.global_variables_initializer())\n'
            '        assert all(np.isfinite(value).all() for value in session.run(gradients)), dtype\n')
    for enabled in ('0', '1'):
        subprocess.run([sys.executable, '-c', code], env=dict(os.environ, TF_ENABLE_ONEDNN_OPTS=enabled), check=True,
                       cwd=golden.FOLDER.rsplit('tests', 1)[0])


@pytest.mark.parametrize(('channels', 'filters', 'num_groups'), [(8, 12, 3), (8, 10, 4), (8, 8, 0), (8, 8, 16)])
def test_groups_that_do_not_divide_are_told(channels, filters, num_groups):
    with pytest.raises(ValueError, match='num_groups must divide the channels and the filters of conv, {} and {}; '
                                         'got {}'.format(channels, filters, num_groups)):
        layers.conv2d(tf.zeros([1, 5, 5, channels]), filters, 3, num_groups=num_groups, scope='conv')
    assert not tf.global_variables()


def test_the_default_initializer_counts_the_inputs_of_a_group():
    with slim.arg_scope(resnet_utils.resnet_arg_scope()):
        layers.conv2d(tf.zeros([1, 5, 5, 64]), 256, 3, num_groups=4, scope='conv')
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert np.var(session.run(tf.global_variables()[0])) == pytest.approx(2 / (9 * 16), rel=0.05)
