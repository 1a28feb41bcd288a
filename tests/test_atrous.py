"""An atrous convolution is one dilated operation or SpaceToBatch, with the same variables, numbers and gradients.

Without oneDNN, which the tests do without, TensorFlow's processor kernels have no gradient of the one operation:
`test_the_kernels_of_onednn_…` goes to a process with oneDNN.
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
from narrow_rows import narrow

from nets import convolution, layers, resnet

pytestmark = pytest.mark.usefixtures('optimised')  # see conftest.py

ROOT = golden.FOLDER.rsplit('tests', 1)[0]
TF1 = tf.__version__.startswith('1.')


def in_form(native, *args, **kwargs):
    with slim.arg_scope([convolution.atrous], native=native):
        return convolution.convolve(*args, **kwargs)


def gradients(net, sources):
    """Those of a sum that weighs every number of the result."""
    return tf.gradients(tf.reduce_sum(net * net * net), sources)


def naive(images, weights, rate, padding):
    """Each number of the kernel times the pixels that it meets, by NumPy."""
    span = [(n - 1) * r for n, r in zip(weights.shape[:2], rate)]
    if padding == 'SAME':
        images = np.pad(images, [(0, 0)] + [(n // 2, n - n // 2) for n in span] + [(0, 0)])
    elif padding != 'VALID':
        images = np.pad(images, [(0, 0), padding, padding, (0, 0)])
    height, width = images.shape[1] - span[0], images.shape[2] - span[1]
    return sum(images[:, y * rate[0]:y * rate[0] + height, x * rate[1]:x * rate[1] + width] @ weights[y, x]
               for y in range(weights.shape[0]) for x in range(weights.shape[1]))


@pytest.mark.parametrize('padding', ['SAME', 'VALID', (2, 3)])
@pytest.mark.parametrize('is_dynamic', [False, True])
@pytest.mark.parametrize('size', [(32, 26), (27, 29)])
def test_both_forms_have_the_same_numbers_and_gradients(size, is_dynamic, padding):
    shape = (2,) + size + (3,)
    images = tf.placeholder(tf.float32, [None, None, None, 3] if is_dynamic else shape)
    feed, expected, actual, others = {images: fill.images(shape, 3)}, [], [], []
    for i, (kernel, rate) in enumerate([((3, 3), (2, 2)), ((3, 3), (3, 3)), ((3, 3), (4, 4)), ((3, 3), (8, 8)),
                                        ((3, 3), (12, 12)), ((2, 4), (2, 3)), ((3, 3), (1, 5)), ((1, 1), (6, 6))]):
        values = fill.images(kernel + (3, 4), i)
        expected.append(naive(feed[images], values, rate, padding))
        weights = tf.constant(values)
        for native, results in ((True, actual), (False, others)):
            net = in_form(native, images, weights, (1, 1), rate, padding, 'NHWC')
            assert net.shape.as_list()[3] == 4
            results.append([net] + gradients(net, [images, weights]))
    with tf.Session() as session:
        actual, others = session.run([actual, others], feed)
    for one, other, net in zip(actual, others, expected):
        np.testing.assert_allclose(one[0], net, atol=1e-5)
        for a, b in zip(one, other):
            assert np.abs(b).max() > 0.1
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


def test_gradients_of_gradients_and_those_in_a_loop():
    images = tf.placeholder(tf.float32, [2, 9, 8, 3])
    weights = tf.constant(fill.images([3, 3, 3, 3], 2))
    results = []
    for native in (True, False):
        net = in_form(native, images, weights, (1, 1), (2, 2), 'SAME', 'NHWC')
        second = gradients(gradients(net, [weights])[0], [images, weights])
        _, net = tf.while_loop(lambda i, net: i < 3, lambda i, net, native=native: (i + 1, in_form(
            native, net, weights, (1, 1), (3, 3), 'SAME', 'NHWC')), (0, images))
        results.append(second + gradients(net, [images, weights]))
    with tf.Session() as session:
        results = session.run(results, {images: fill.images([2, 9, 8, 3], 3)})
    for a, b in zip(*results):
        assert np.abs(b).max() > 0.1
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize('dtype', [tf.float16, tf.bfloat16, tf.float64])
def test_every_type_has_the_form_that_this_processor_runs_and_gradients(dtype):
    images = tf.constant(fill.images([2, 9, 8, 3], 3))
    results = []
    for one in (dtype, tf.float32):
        cast = tf.cast(images, one)
        net = layers.conv2d(cast, 4, 3, rate=2, activation_fn=None, biases_initializer=None,
                            weights_initializer=tf.ones_initializer(), scope='conv_' + one.name)
        runs = convolution.cpu_runs(one, dilated=True, gradients=False)
        assert runs or TF1
        assert net.op.type == ('Conv2D' if runs else 'BatchToSpaceND')
        results.append([net] + tf.gradients(net, [cast] + tf.trainable_variables()[-1:]))
        assert {tensor.dtype.base_dtype for tensor in results[-1]} == {one}
    if TF1 and dtype == tf.bfloat16:
        pytest.skip('it has no such kernels in either form')
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        actual, expected = session.run([[tf.cast(tensor, tf.float64) for tensor in result] for result in results])
    for a, b in zip(actual, expected):
        np.testing.assert_allclose(a, b, rtol=0.05, atol=0.02 * np.abs(b).max())


def test_the_result_is_the_operation_of_that_name():
    for native, kind in ((True, 'Conv2D'), (False, 'BatchToSpaceND')):
        with tf.Graph().as_default() as graph, slim.arg_scope([convolution.atrous], native=native):
            net = layers.conv2d(tf.zeros([1, 9, 9, 4]), 4, 3, rate=2, scope='conv', activation_fn=None,
                                biases_initializer=None)
            assert net.op.type == kind
            convolution_, = [op for op in graph.get_operations() if op.type == 'Conv2D']
            assert convolution_.name == 'conv/Conv2D'
            assert convolution_.get_attr('dilations') == ([1, 2, 2, 1] if native else [1, 1, 1, 1])


@pytest.mark.parametrize('name', ['resnet_v2_50', 'resnext_50_32x4d'])
def test_networks_have_the_same_variables_end_points_and_updates_in_both_forms(name):
    network = resnet.network('net', narrow(name)._replace(num_units=(1, 1, 2, 2)))
    results = []
    for native in (True, False):
        with tf.Graph().as_default() as graph, slim.arg_scope(network.arg_scope()), \
                slim.arg_scope([convolution.atrous], native=native):
            images = tf.placeholder(tf.float32, [2, None, None, 3])
            net, end_points = network(images, global_pool=False, output_stride=8, multi_grid=[1, 2])
            weights = tf.trainable_variables()
            with tf.Session() as session:
                golden.fill_variables(session)
                values, slopes = session.run([end_points, gradients(net, weights)],
                                             {images: fill.images([2, 40, 33, 3], 4)})
            results.append(([(v.op.name, v.shape.as_list()) for v in tf.global_variables()], values, slopes))
            kinds = {op.type for op in graph.get_operations() if not op.name.startswith('gradients')}
            assert ('SpaceToBatchND' in kinds) == (not native)
    (names, a, slopes), (other_names, b, other_slopes) = results
    assert names == other_names
    assert golden.worst(a, b) < 1e-4
    for one, other in zip(slopes, other_slopes):
        np.testing.assert_allclose(one, other, rtol=0.01, atol=1e-3 * np.abs(other).max())


def test_a_stride_and_a_rate_are_too_much():
    with pytest.raises(ValueError, match=r'a rate above 1, not both; got stride \(2, 2\) and rate \(2, 2\)'):
        layers.conv2d(tf.zeros([1, 9, 9, 3]), 4, 3, stride=2, rate=2)


@pytest.mark.parametrize('shape', [[1, 9, 9, 3], None])
def test_a_copy_of_the_graph_keeps_its_gradient(shape):
    images = tf.placeholder(tf.float32, [1, 9, 9, 3], name='images')
    layers.conv2d(images, 4, 3, rate=2, scope='conv', activation_fn=None)
    graph_def = tf.get_default_graph().as_graph_def()
    other = tf.placeholder(tf.float32, shape)
    net, = tf.import_graph_def(graph_def, {'images': other}, ['conv/BiasAdd:0'], name='copy')
    gradient, = tf.gradients(net, [other])
    with tf.Session() as session:
        session.run('copy/conv/weights/Assign')
        session.run('copy/conv/biases/Assign')
        assert np.abs(session.run(gradient, {other: fill.images([1, 9, 9, 3], 3)})).max() > 0


def test_a_process_without_this_library_runs_and_trains_a_saved_graph(tmp_path):
    images = tf.placeholder(tf.float32, [1, 9, 9, 3], name='images')
    net = layers.conv2d(images, 4, 3, rate=2, scope='conv', activation_fn=None)
    assert TF1 or net.op.inputs[0].op.type == 'Conv2D'
    loss = tf.reduce_sum(tf.square(net), name='loss')
    step = tf.train.GradientDescentOptimizer(1e-3).minimize(loss)
    values = fill.images([1, 9, 9, 3], 3)
    with tf.Session() as session:
        golden.fill_variables(session)
        path = tf.train.Saver().save(session, str(tmp_path / 'model.ckpt'))
        session.run(step, {images: values})
        expected = session.run(loss, {images: values})
    np.save(str(tmp_path / 'images.npy'), values)
    code = ('import sys, numpy as np, tensorflow.compat.v1 as tf\n'
            'tf.disable_v2_behavior()\n'
            'saver, session = tf.train.import_meta_graph(sys.argv[1] + ".meta"), tf.Session()\n'
            'saver.restore(session, sys.argv[1])\n'
            'feed = {"images:0": np.load(sys.argv[2])}\n'
            'session.run("GradientDescent", feed)\n'
            'assert not any(name.split(".")[0] == "nets" for name in sys.modules)\n'
            'print(session.run("loss:0", feed))\n')
    result = subprocess.run([sys.executable, '-c', code, path, str(tmp_path / 'images.npy')], cwd=str(tmp_path),
                            stdout=subprocess.PIPE, universal_newlines=True, check=True)
    assert float(result.stdout.split()[-1]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.skipif(TF1, reason='it has no such kernels')
def test_the_kernels_of_onednn_give_the_gradients_where_there_are_some():
    """In groups or not, in either layout; in float64, which they have not, by way of SpaceToBatch."""
    code = '''
import numpy as np, tensorflow.compat.v1 as tf
from nets import convolution
from goldens import fill
tf.disable_v2_behavior()
print(convolution.cpu_runs(dilated=True))
if convolution.cpu_runs(dilated=True):
    for dtype, groups, data_format in [(tf.float32, 1, 'NHWC'), (tf.float32, 2, 'NHWC'), (tf.float32, 1, 'NCHW'),
                                       (tf.bfloat16, 1, 'NHWC'), (tf.float64, 1, 'NHWC'), (tf.float64, 2, 'NHWC')]:
        images, weights = tf.constant(fill.images([2, 9, 8, 4], 1), dtype), tf.constant(
            fill.images([3, 3, 4 // groups, 6], 2), dtype)
        results = []
        for native in (None, False):
            with convolution.slim.arg_scope([convolution.atrous], native=native):
                net = tf.transpose(images, [0, 3, 1, 2]) if data_format == 'NCHW' and native is None else images
                net = convolution.convolve(net, weights, (1, 1), (2, 2), 'SAME',
                                           data_format if native is None else 'NHWC')
                if data_format == 'NCHW' and native is None:
                    net = tf.transpose(net, [0, 2, 3, 1])
                before = len(tf.get_default_graph().get_operations())
                results.append([net] + tf.gradients(net * net, [images, weights]))
                spread = any(op.type == 'SpaceToBatchND' for op in tf.get_default_graph().get_operations()[before:])
                assert spread == (native is False or dtype == tf.float64)
        for a, b in zip(*tf.Session().run([[tf.cast(one, tf.float64) for one in result] for result in results])):
            limit = 0.05 if dtype == tf.bfloat16 else 1e-5
            np.testing.assert_allclose(a, b, rtol=limit, atol=limit * np.abs(b).max())
'''
    result = subprocess.run([sys.executable, '-c', code], stdout=subprocess.PIPE, universal_newlines=True, check=True,
                            env=dict(os.environ, TF_ENABLE_ONEDNN_OPTS='1',
                                     PYTHONPATH=os.pathsep.join([ROOT, os.path.join(ROOT, 'tests')])))
    assert result.stdout.split()[-1] in ('True', 'False')
