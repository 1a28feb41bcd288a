"""What a model runs, folded and by either engine, computes what the plain graph does, and follows the weights."""

import keras_reference
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from application_cases import LIMIT, SIZE, images_of, tiny

from nets.inference import engines

END_POINTS = ['conv1', 'block1/unit_1/bottleneck_v1/conv2', 'block2', 'block4', 'predictions']


@pytest.fixture(params=list(engines.ENGINES))
def engine(request):
    if request.param == 'onnxruntime':
        pytest.importorskip('onnx')
        pytest.importorskip('onnxruntime')
    return request.param


def plain(path, images, **kwargs):
    """Output and end points of the network in a graph and session of the user's own, with a checkpoint's weights."""
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = tiny(weights=path, input_tensor=tf.constant(images), **kwargs)
        session.run(tf.global_variables_initializer())
        return session.run([tensors.output, tensors.end_points])


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    """Checkpoints of two models with other weights."""
    folder = tmp_path_factory.mktemp('saved')
    for name in ('one.ckpt', 'two.ckpt'):
        with tiny(weights=None) as model:
            model.save(folder / name)
    return folder / 'one.ckpt', folder / 'two.ckpt'


@pytest.mark.parametrize('kwargs', [
    {'classifier_activation': 'softmax'}, {'include_top': False}, {'include_top': False, 'pooling': 'avg'},
    {'include_top': False, 'pooling': 'max'}], ids=str)
def test_predict_equals_a_plain_session(saved, engine, kwargs):
    images = images_of(3, SIZE)
    with tiny(weights=saved[0], **kwargs) as model:
        actual = model.predict(images, batch_size=2, engine=engine)
    assert keras_reference.error(actual, plain(saved[0], images, **kwargs)[0]) <= LIMIT


def test_features_equal_a_plain_session_whatever_was_asked_for_before(saved, engine):
    images = images_of(2, SIZE)
    _, expected = plain(saved[0], images)
    with tiny(weights=saved[0]) as model:
        for name in END_POINTS + END_POINTS[:2]:
            full = name if name in expected else 'resnet_v1_14/' + name
            actual = model.features(images, name, engine=engine)
            assert keras_reference.error(actual, expected[full]) <= LIMIT, name


def test_results_follow_the_weights(saved, engine):
    images = images_of(2, SIZE)
    with tiny(weights=saved[0]) as model:
        for path in (saved[0], saved[1], saved[0]):
            model.load_weights(path)
            output, end_points = plain(path, images)
            assert keras_reference.error(model.predict(images, engine=engine), output) <= LIMIT
            block = model.features(images, 'block3', engine=engine)
            assert keras_reference.error(block, end_points['resnet_v1_14/block3']) <= LIMIT
    assert keras_reference.error(plain(saved[1], images)[0], output) > 0.1


def test_functions_of_the_users_run_too(saved):
    """One whose result is the second of an operation cannot be folded."""
    images = images_of(2, SIZE)
    logits = plain(saved[0], images)[0]
    for function, expected in ((lambda net: 2 * net, 2 * logits),
                               (lambda net: tf.nn.top_k(net, 2).indices, np.argsort(-logits)[:, :2])):
        with tiny(weights=None, classifier_activation=function) as model:
            model.load_weights(saved[0])
            np.testing.assert_allclose(model.predict(images), expected, rtol=1e-4, atol=LIMIT)


def test_no_images_give_no_results(saved, engine):
    with tiny(weights=saved[0]) as model:
        assert model.predict(np.zeros((0,) + SIZE + (3,)), engine=engine).shape == (0, 3)


def test_an_unknown_engine_is_named(saved):
    with tiny(weights=saved[0]) as model, pytest.raises(ValueError, match="tensorflow, onnxruntime; got 'torch'"):
        model.predict(images_of(1, SIZE), engine='torch')
