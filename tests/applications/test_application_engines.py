"""What a model runs, folded and by either engine, computes what the plain graph does, and follows the weights."""

import keras_reference
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from application_cases import LIMIT, SIZE, images_of, tiny

from nets.inference import engines

END_POINTS = ['conv1', 'block1/unit_1/bottleneck_v1/conv2', 'block2', 'block4', 'predictions']
IMAGES = images_of(3, SIZE)


@pytest.fixture(params=list(engines.ENGINES))
def engine(request):
    if request.param == 'onnxruntime':
        pytest.importorskip('onnx')
        pytest.importorskip('onnxruntime')
    return request.param


def plain(path, **kwargs):
    """Output and end points of the network in a graph and session of the user's own, with a checkpoint's weights."""
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = tiny(weights=path, input_tensor=tf.constant(IMAGES), **kwargs)
        session.run(tf.global_variables_initializer())
        return session.run([tensors.output, tensors.end_points])


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    """Checkpoints of two models with other weights, and what `plain` makes of them."""
    made = []
    for name in ('one.ckpt', 'two.ckpt'):
        path = tmp_path_factory.mktemp('saved') / name
        with tiny(weights=None) as model:
            model.save(path)
        made.append((path, *plain(path)))
    return made


@pytest.mark.parametrize('kwargs', [
    {'classifier_activation': 'softmax'}, {'include_top': False}, {'include_top': False, 'pooling': 'avg'},
    {'include_top': False, 'pooling': 'max'}], ids=str)
def test_predict_equals_a_plain_session(saved, engine, kwargs):
    path, _, _ = saved[0]
    with tiny(weights=path, **kwargs) as model:
        actual = model.predict(IMAGES, batch_size=2, engine=engine)
    assert keras_reference.error(actual, plain(path, **kwargs)[0]) <= LIMIT


def test_features_equal_a_plain_session_whatever_was_asked_for_before(saved, engine):
    path, _, expected = saved[0]
    with tiny(weights=path) as model:
        for name in END_POINTS + END_POINTS[:2]:
            full = name if name in expected else 'tiny/' + name
            actual = model.features(IMAGES, name, engine=engine)
            assert keras_reference.error(actual, expected[full]) <= LIMIT, name


def test_results_follow_the_weights(saved, engine):
    with tiny(weights=saved[0][0]) as model:
        for path, output, end_points in (saved[0], saved[1], saved[0]):
            model.load_weights(path)
            assert keras_reference.error(model.predict(IMAGES, engine=engine), output) <= LIMIT
            block = model.features(IMAGES, 'block3', engine=engine)
            assert keras_reference.error(block, end_points['tiny/block3']) <= LIMIT
    assert keras_reference.error(saved[0][1], saved[1][1]) > 0.1


def test_functions_of_the_users_run_too(saved):
    """One whose result is the second of an operation cannot be folded."""
    path, logits, _ = saved[0]
    for function, expected in ((lambda net: 2 * net, 2 * logits),
                               (lambda net: tf.nn.top_k(net, 2).indices, np.argsort(-logits)[:, :2])):
        with tiny(weights=None, classifier_activation=function) as model:
            model.load_weights(path)
            np.testing.assert_allclose(model.predict(IMAGES), expected, rtol=1e-4, atol=LIMIT)


def test_no_images_give_no_results(saved, engine):
    with tiny(weights=saved[0][0]) as model:
        assert model.predict(np.zeros((0,) + SIZE + (3,)), engine=engine).shape == (0, 3)


def test_an_unknown_engine_is_named(saved):
    with tiny(weights=saved[0][0]) as model, pytest.raises(ValueError, match="tensorflow, onnxruntime; got 'torch'"):
        model.predict(IMAGES, engine='torch')
