"""The folded graph computes what the network computes."""

import collections

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from narrow_networks import BATCHES, NAMES, plain, register, relative, run, short

from nets import convolution, resnet_utils
from nets.inference import fold


def ops(folded):
    return collections.Counter(node.op for node in folded.nodes.values())


def errors(name, monkeypatch, **kwargs):
    """How far the folded network is from the plain one that was folded, over the largest value of an end point."""
    register(monkeypatch, name)
    with plain(**kwargs) as (session, images, end_points):
        expected = [session.run(end_points, {images: batch}) for batch in BATCHES]
        folded, placeholder, tensors = fold.session_of(fold.fold_session(session, images, end_points))
    with folded:
        return relative([folded.run(tensors, {placeholder: batch}) for batch in BATCHES], expected)


@pytest.mark.parametrize('name', NAMES)
def test_folded_equals_unfolded(name, monkeypatch):
    assert errors(name, monkeypatch) < 1e-5


@pytest.mark.parametrize(('name', 'native'), [
    ('resnet_v1_50_beta', True), ('resnet_v1_50_beta', False), ('resnext_50_32x4d', True), ('resnext_50_32x4d', False),
    ('resnet_v2_50', True), ('resnet_small_18', True), ('resnet_keras_50', True)])
def test_folded_equals_unfolded_at_an_output_stride(name, native, monkeypatch):
    root = short(name).root_block().stride
    stride = resnet_utils.reachable_output_strides(short(name).blocks())[-3]
    with slim.arg_scope([convolution.atrous], native=native):
        assert errors(name, monkeypatch, global_pool=False, spatial_squeeze=False, output_stride=stride * root) < 1e-5


def test_a_checkpoint_is_folded(monkeypatch, saved):
    register(monkeypatch, 'resnet_v1_50')
    prefix, expected = saved('resnet_v1_50')
    assert relative(run(prefix, BATCHES), expected) < 1e-5


@pytest.mark.parametrize('native', [True, False])
@pytest.mark.parametrize(('name', 'left'), [('resnet_v1_50', 0), ('resnet_keras_50', 0), ('resnext_50_32x4d', 0),
                                            ('resnet_v2_50', 6)])
def test_nothing_but_layers_is_left(name, left, native, monkeypatch, saved):
    """No variable, identity, shape, assertion or batch of small images, and batch norm only before v2's units."""
    register(monkeypatch, name)
    prefix, _ = saved(name)
    with slim.arg_scope([convolution.atrous], native=native):
        folded = fold.fold('small', prefix, None, 3, global_pool=False, spatial_squeeze=False, output_stride=8)
    counts = ops(folded)
    assert counts.pop('FusedBatchNormV3', 0) == left
    assert set(counts) <= {'Placeholder', 'Conv2D', 'BiasAdd', 'Relu', 'AddV2', 'MaxPool', 'Pad', 'Split', 'ConcatV2',
                           'Softmax'}
    assert all(node in folded.nodes for node in folded.end_points.values())
    assert not any(key.startswith('_') for node in folded.nodes.values() for key in node.attr)


def test_names_that_clients_fetch_stay(monkeypatch, saved):
    register(monkeypatch, 'resnet_v1_50')
    prefix, _ = saved('resnet_v1_50')
    session, _, _ = fold.folded_session('small', prefix, None, 3)
    with session:
        for name in ('small/pool1/MaxPool', 'small/block1/unit_1/bottleneck_v1/Relu', 'small/pool5',
                     'small/SpatialSqueeze', 'small/predictions/Reshape_1'):
            assert session.graph.get_operation_by_name(name)


def test_only_what_is_wanted_is_kept(monkeypatch, saved):
    register(monkeypatch, 'resnet_v1_50')
    prefix, expected = saved('resnet_v1_50')
    name = 'small/block1'
    assert not [one for one in fold.fold('small', prefix, [name], 3).nodes if 'block2' in one]
    actual = run(prefix, BATCHES, end_points=[name], image_shape=(2, None, None, 3))
    assert relative(actual, [{name: one[name]} for one in expected]) < 1e-5
    with pytest.raises(ValueError, match="no end point 'block1'; did you mean 'small/block1'"):
        fold.fold('small', prefix, ['block1'], 3)


def test_a_scale_is_folded_in_float64(monkeypatch, saved):
    register(monkeypatch, 'resnet_v1_18')
    prefix, _ = saved('resnet_v1_18')
    folded = fold.fold('small', prefix, ['small/conv1'], 3)
    reader = tf.train.NewCheckpointReader(prefix)
    weights, gamma, beta, mean, variance = (
        reader.get_tensor('small/conv1/' + name).astype(np.float64) for name in
        ('weights', 'BatchNorm/gamma', 'BatchNorm/beta', 'BatchNorm/moving_mean', 'BatchNorm/moving_variance'))
    scale = gamma / np.sqrt(variance + np.float32(1.001e-5))  # TensorFlow raises epsilon to this
    constants = folded.nodes.constants
    np.testing.assert_array_equal(constants['small/conv1/Conv2D/weights'], (weights * scale).astype(np.float32))
    np.testing.assert_array_equal(constants['small/conv1/BatchNorm/FusedBatchNormV3/biases'],
                                  (beta - mean * scale).astype(np.float32))


def test_weights_may_be_variables(monkeypatch, saved):
    register(monkeypatch, 'resnext_50_32x4d')
    prefix, expected = saved('resnext_50_32x4d')
    session, images, tensors = fold.folded_session('small', prefix, None, 3, variables=True)
    constants, _, _ = fold.folded_session('small', prefix, None, 3)
    with session, constants:
        assert relative([session.run(tensors, {images: batch}) for batch in BATCHES], expected) < 1e-5
        graph_def, other = session.graph.as_graph_def(), constants.graph.as_graph_def()
    assert graph_def.ByteSize() < 0.5 * other.ByteSize()
    assert not [node.name for node in graph_def.node if node.op == 'Const' and len(
        node.attr['value'].tensor.tensor_shape.dim) == 4]
