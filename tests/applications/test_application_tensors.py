"""With input_tensor an application adds its network to the user's graph, and its weights to the initial values."""

import gc
import os
import tempfile

import keras_reference
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from application_cases import CLASSES, LIMIT, SIZE, SMALL, images_of, predict, tiny


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    """A checkpoint of a small network, images, and what the network makes of them."""
    path = tmp_path_factory.mktemp('saved') / 'model.ckpt'
    with tiny(weights=None) as model:
        model.save(path)
        return path, images_of(2, SIZE), model.predict(images_of(2, SIZE))


def initialized(tensor):
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(tensor)


@pytest.mark.parametrize('whole', [True, False])
def test_a_file_of_keras_fills_the_network_in_a_graph(keras_file, whole):
    theirs, path = keras_file('SmallV2')
    images = images_of()
    output, end_points = SMALL['SmallV2'](
        include_top=whole, weights=path, classes=CLASSES, pooling='avg', input_tensor=tf.constant(images))
    expected = predict(theirs, images) if whole else keras_reference.eagerly(
        lambda: keras_reference.outputs(theirs, ['avg_pool'])(images)[0])
    assert keras_reference.error(initialized(output), expected) <= LIMIT
    assert (end_points.get('predictions') is output) == whole


def test_a_checkpoint_fills_the_network_in_a_graph(saved):
    path, images, expected = saved
    output, end_points = tiny(weights=path, input_tensor=tf.constant(images))
    assert keras_reference.error(initialized(output), expected) <= LIMIT
    assert list(end_points)[0] == 'tiny/conv1'


def test_each_call_adds_a_network_of_its_own_wherever_it_is_called(saved):
    path, images, expected = saved
    images = tf.constant(images)
    with tf.variable_scope('tower'):
        first = tiny(weights=path, input_tensor=images)
    second = tiny(weights=path, input_tensor=images)
    third = tiny(weights=None, input_tensor=images)
    scopes = ['tower/tiny', 'tiny', 'tiny_1']
    assert [list(tensors.end_points)[0] for tensors in (first, second, third)] == [name + '/conv1' for name in scopes]
    assert {name.rsplit('/block', 1)[0] for name in (v.op.name for v in tf.global_variables())
            if '/block' in name} == set(scopes)
    one, two, random = initialized([first.output, second.output, third.output])
    assert keras_reference.error(one, expected) <= LIMIT
    assert keras_reference.error(two, expected) <= LIMIT
    assert keras_reference.error(random, expected) > 0.1


def test_the_graph_is_that_of_the_tensor_not_the_default_one(saved):
    path, images, expected = saved
    default = tf.get_default_graph()
    with tf.Graph().as_default() as graph:
        tensor = tf.constant(images)
    output, _ = tiny(weights=path, input_tensor=tensor)
    assert output.graph is graph
    assert not default.get_operations()
    with graph.as_default():
        assert keras_reference.error(initialized(output), expected) <= LIMIT


def test_other_variables_and_savers_are_left_alone(saved):
    path, images, _ = saved
    own = tf.get_variable('own', initializer=3.)
    tiny(weights=path, input_tensor=tf.constant(images))
    assert initialized(own) == 3
    assert not [op for op in tf.get_default_graph().get_operations() if op.name.startswith('save')]
    assert tf.train.Saver().as_saver_def().restore_op_name == 'save/restore_all'
    assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    assert not tf.losses.get_regularization_losses()


@pytest.mark.parametrize('dtype', ['uint8', 'int32', 'float16', 'float64'])
def test_images_of_any_type_are_cast(saved, dtype):
    path = saved[0]
    images = np.random.default_rng(0).integers(0, 100, (2,) + SIZE + (3,)).astype(dtype)
    as_float, as_given = (tiny(weights=path, input_tensor=tf.constant(given)).output
                          for given in (images.astype('float32'), images))
    assert as_given.dtype == tf.float32
    np.testing.assert_array_equal(*initialized([as_float, as_given]))


def test_the_given_shape_adds_to_that_of_the_tensor(saved):
    placeholder = tf.placeholder(tf.float32, [None, None, None, None])
    output, end_points = tiny(include_top=False, weights=saved[0], input_shape=SIZE + (3,), input_tensor=placeholder)
    assert output.shape.as_list() == [None, 1, 2, 64]
    assert end_points['tiny/conv1'].shape.as_list() == [None, 16, 20, 64]
    assert placeholder.shape.as_list() == [None] * 4
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        with pytest.raises(tf.errors.InvalidArgumentError, match='not compatible with expected shape'):
            session.run(output, {placeholder: np.zeros([1, 40, 32, 3])})


def test_weights_that_do_not_fit_are_listed(saved, keras_file):
    tensor = tf.zeros([1, 32, 32, 3])
    with pytest.raises(ValueError, match='model.ckpt does not fit the model: 0 missing, 2 of another shape'):
        tiny(weights=saved[0], classes=4, input_tensor=tensor)
    with pytest.raises(ValueError, match='SmallV2.h5 does not fit small'):
        SMALL['Small'](weights=keras_file('SmallV2')[1], input_tensor=tensor)


def test_what_is_written_for_a_graph_goes_with_it(keras_file, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))

    def build():
        with tf.Graph().as_default():
            SMALL['Small'](weights=keras_file('Small')[1], include_top=False, input_tensor=tf.zeros([1, 32, 32, 3]))
            assert len(os.listdir(tmp_path)) == 1

    build()
    gc.collect()
    assert not os.listdir(tmp_path)
