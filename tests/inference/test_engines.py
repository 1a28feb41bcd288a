"""ONNX Runtime and TensorFlow compute the same."""

import logging
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from narrow_networks import BATCHES, plain, register, relative

from nets.inference import engines, fold
from nets.inference.formats import onnx_file

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')


def run(engine, prefix, **kwargs):
    with engines.open_engine(engine, 'small', prefix, None, 3, **kwargs) as opened:
        return [opened(images) for images in BATCHES]


@pytest.mark.parametrize('name', ['resnet_v1_18', 'resnet_v2_50', 'se_resnext_50_32x4d', 'resnet_keras_v2_50',
                                  'resnet_cifar_20'])
def test_onnxruntime_equals_tensorflow(name, monkeypatch, saved):
    register(monkeypatch, name)
    prefix, expected = saved(name)
    assert relative(run('onnxruntime', prefix), expected) < 1e-5


@pytest.mark.parametrize('name', ['resnet_v1_50_beta', 'resnext_50_32x4d'])
def test_onnxruntime_equals_tensorflow_where_convolutions_are_atrous(name, monkeypatch, saved):
    register(monkeypatch, name)
    dense = {'global_pool': False, 'spatial_squeeze': False, 'output_stride': 8}
    prefix, expected = saved(name, **dense)
    assert relative(run('onnxruntime', prefix, **dense), expected) < 1e-5


@pytest.mark.parametrize(('size', 'threads', 'sizes'), [
    (3, 0, [3]), (4, 0, [2, 2]), (5, 0, [2, 3]), (5, 1, [5])])
def test_tensorflow_computes_the_halves_of_a_batch_at_once(size, threads, sizes, monkeypatch, saved):
    register(monkeypatch, 'resnet_v1_18')
    prefix, _ = saved('resnet_v1_18')
    monkeypatch.setattr(engines.cores, 'count', lambda: 2)
    seen, whole = [], engines._of_tensors

    def watched(*args):
        engine = whole(*args)
        return engines.Engine(lambda batch: seen.append(len(batch)) or engine(batch), engine.close)

    monkeypatch.setattr(engines, '_of_tensors', watched)
    images = np.random.RandomState(0).normal(size=(size, 33, 32, 3)).astype(np.float32)
    session, placeholder, tensors = fold.folded_session('small', prefix, None, 3)
    with session:
        expected = session.run(tensors, {placeholder: images})
    config = tf.ConfigProto(intra_op_parallelism_threads=threads)
    with engines.open_engine('tensorflow', 'small', prefix, None, 3, config=config) as engine:
        result = engine(images)
    assert sorted(seen) == sizes
    assert list(result) == list(expected)
    assert relative([result], [expected]) < 1e-5


def test_a_closed_engine_and_an_unknown_one_say_so(monkeypatch, saved):
    register(monkeypatch, 'resnet_v1_18')
    prefix, _ = saved('resnet_v1_18')
    with engines.open_engine('tensorflow', 'small', prefix, ['global_pool'], 3) as engine:
        assert engine(BATCHES[0])['global_pool'].shape == (2, 1, 1, 16)
    with pytest.raises(ValueError, match='The engine is closed'):
        engine(BATCHES[0])
    with pytest.raises(ValueError, match="must be one of tensorflow, onnxruntime; got 'tensorrt'"):
        engines.open_engine('tensorrt', 'small', prefix, ['global_pool'], 3)


def test_a_missing_package_is_named_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ImportError, match=r"pip install 'tf1-nets\[onnx\]'"):
        engines.open_engine('onnxruntime', 'small', 'no.ckpt', ['global_pool'], 3)


def test_what_has_no_twin_is_named(monkeypatch, saved):
    register(monkeypatch, 'resnet_v1_18')
    prefix, _ = saved('resnet_v1_18')
    folded = fold.fold('small', prefix, ['global_pool'], 3)
    folded.nodes['small/pool1/MaxPool'].op = 'MaxPoolV9'
    with pytest.raises(ValueError, match=r'The operation MaxPoolV9 \(small/pool1/MaxPool\) is not known'):
        onnx_file.serialize(folded)


RESULTS = {
    'tanh': tf.tanh, 'elu': tf.nn.elu, 'exp': tf.exp, 'leaky_relu': tf.nn.leaky_relu, 'selu': tf.nn.selu,
    'log_softmax': tf.nn.log_softmax, 'relu6': tf.nn.relu6, 'sigmoid': tf.sigmoid, 'softplus': tf.nn.softplus,
    'softsign': tf.nn.softsign, 'average': lambda net: tf.reduce_mean(net, [1, 2]),
    'largest': lambda net: tf.reduce_max(net, [1, 2]),
    'largest, kept': lambda net: tf.reduce_max(net, [1, 2], keepdims=True)}


def test_whatever_follows_a_network_has_its_twin():
    images = tf.placeholder(tf.float32, [None, 5, 7, 3])
    weights = tf.Variable(np.random.RandomState(0).normal(0, 2, [3, 3, 3, 4]).astype(np.float32))
    net = tf.nn.conv2d(images, weights, strides=2, padding='SAME')
    tensors = {name: function(net) for name, function in RESULTS.items()}
    batch = np.random.RandomState(1).normal(size=(2, 5, 7, 3)).astype(np.float32)
    with tf.Session() as session:
        session.run(weights.initializer)
        expected = session.run(tensors, {images: batch})
        with engines.of_session('onnxruntime', session, images, tensors) as engine:
            assert relative([engine(batch)], [expected]) < 1e-5


@pytest.mark.parametrize('engine', engines.ENGINES)
def test_an_engine_keeps_the_values_that_variables_had(engine, monkeypatch):
    register(monkeypatch, 'resnext_50_32x4d')
    with plain() as (session, images, tensors):
        expected = [session.run(tensors, {images: batch}) for batch in BATCHES]
        with engines.of_session(engine, session, images, tensors) as opened:
            session.run(tf.global_variables_initializer())
            session.close()
            assert relative([opened(batch) for batch in BATCHES], expected) < 1e-5


def test_a_graph_that_cannot_be_folded_runs_as_it_is(caplog):
    images = tf.placeholder(tf.float32, [None, None, None, 3])
    weights = tf.get_variable('weights', initializer=tf.ones([1, 1, 3, 2]))
    bright = tf.cond(tf.reduce_mean(images) > 0, lambda: tf.nn.conv2d(images, weights, 1, 'SAME'),
                     lambda: tf.nn.conv2d(-images, weights, 1, 'SAME'))
    tensors = {'bright': bright, 'second': tf.nn.top_k(bright, 1).indices}
    batch = np.random.RandomState(0).normal(-1, 1, (2, 3, 3, 3)).astype(np.float32)
    with tf.Session() as session, caplog.at_level(logging.INFO, 'nets'):
        session.run(weights.initializer)
        for name, tensor in tensors.items():
            with engines.of_session('tensorflow', session, images, {name: tensor}) as engine:
                np.testing.assert_array_equal(engine(batch)[name], session.run(tensor, {images: batch}))
            assert 'The graph runs unfolded' in caplog.text
            caplog.clear()
            with pytest.raises(ValueError, match='the ONNX export knows|only first results'):
                engines.of_session('onnxruntime', session, images, {name: tensor})
