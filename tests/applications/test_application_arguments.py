"""Arguments are checked as Keras checks them, before anything is fetched or built."""

import application_cases
import keras
import keras_reference
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from application_cases import tiny

from nets import applications
from nets.applications import imagenet


@pytest.fixture(autouse=True)
def _nothing_is_fetched(monkeypatch):
    def fetch(*args):
        raise AssertionError('fetched')
    monkeypatch.setattr(imagenet, 'fetch', fetch)


# Those that Keras refuses, with a part of our message.
BAD = [
    ({'weights': 'nowhere.h5'}, 'There is no checkpoint at nowhere.h5'),
    ({'weights': 'ImageNet'}, "weights must be None, 'imagenet', or the path"),
    ({'weights': 'imagenet', 'classes': 10}, 'classes must be 1000; got 10'),
    ({'weights': 'imagenet', 'input_shape': (64, 64, 3)}, r'images must be 224 x 224 x 3; got the shape \(64, 64, 3\)'),
    ({'weights': 'imagenet', 'input_shape': (224, 224, 4)}, r'3 channels; got the shape \(224, 224, 4\)'),
    ({'weights': 'imagenet', 'include_top': False, 'input_shape': (64, 64, 1)}, '3 channels'),
    ({'weights': 'imagenet', 'include_top': False, 'input_shape': (31, 64, 3)}, 'at least 32 x 32'),
    ({'weights': None, 'include_top': False, 'input_shape': (64, 31, 3)}, r'got the shape \(64, 31, 3\)'),
    ({'weights': None, 'input_shape': (16, 16, 3)}, 'at least 32 x 32'),
    ({'weights': None, 'input_shape': (None, None, 3)}, 'height and width must be known'),
    ({'weights': None, 'input_shape': (None, 64, 3)}, 'height and width must be known'),
    ({'weights': None, 'input_shape': (64, 64)}, 'input_shape must be three whole numbers'),
    ({'weights': None, 'include_top': False, 'input_shape': (1, 64, 64, 3)}, 'input_shape must be three whole numbers'),
    ({'weights': None, 'input_shape': (64, 64, 3), 'classes': 0}, 'classes must be a whole number from 1; got 0'),
    ({'weights': None, 'input_shape': (64, 64, 3), 'classes': -3}, 'got -3'),
    ({'weights': None, 'input_shape': (64, 64, 3), 'classes': 2.5}, 'got 2.5'),
    ({'weights': None, 'input_shape': (64, 64, 3), 'classifier_activation': 'sofmax'}, "one of None, .*got 'sofmax'"),
    ({'weights': 'imagenet', 'classifier_activation': 'relu'}, "must be None or 'softmax'; got 'relu'"),
    ({'weights': __file__, 'classifier_activation': 'sigmoid', 'input_shape': (64, 64, 3)}, "got 'sigmoid'"),
]


@pytest.mark.parametrize(('kwargs', 'message'), BAD, ids=[' '.join(map(str, kwargs.values())) for kwargs, _ in BAD])
@pytest.mark.parametrize('name', ['ResNet50', 'ResNet50V2'])
@pytest.mark.filterwarnings('ignore:This model usually expects 1 or 3 input channels')
def test_what_keras_refuses_is_refused(name, kwargs, message):
    with pytest.raises(ValueError, match=message):
        getattr(applications, name)(**kwargs)
    if name == 'ResNet50':
        with pytest.raises(ValueError):  # noqa: PT011, the message is Keras' business
            keras_reference.eagerly(getattr(keras.applications, name), **kwargs)
    assert not tf.get_default_graph().get_operations()


# What Keras takes without a word, or fails at in another way.
@pytest.mark.parametrize(('kwargs', 'message'), [
    ({'pooling': 'sum'}, "pooling must be None, 'avg' or 'max'; got 'sum'"),
    ({'weights': 5}, 'got 5'),
    ({'weights': None, 'include_top': False, 'input_shape': (64, 64, None)}, 'number of channels must be known'),
    ({'weights': ''}, "got ''"),
    ({'weights': np.zeros(3)}, 'weights must be None'),
    ({'weights': None, 'classes': True}, 'got True'),
    ({'weights': None, 'classes': None}, 'got None'),
    ({'weights': None, 'input_shape': 64}, 'Got 64'),
    ({'weights': None, 'input_shape': (64.0, 64.0, 3)}, 'Got .64.0, 64.0, 3.'),
    ({'weights': None, 'input_shape': '643'}, "Got '643'"),
    ({'weights': None, 'input_shape': (64, 64, 0)}, r'at least 1; got the shape \(64, 64, 0\)'),
    ({'weights': None, 'input_shape': (-64, 64, 3)}, 'at least 32 x 32'),
    ({'weights': None, 'classifier_activation': ['softmax']}, r"got \['softmax'\]"),
    ({'weights': None, 'input_tensor': np.zeros([1, 64, 64, 3])}, "must be a tensor of a graph.*got 'ndarray'"),
])
def test_more_is_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        applications.ResNet50(**kwargs)


def test_a_tensor_without_a_graph_is_refused():
    for tensor in (keras_reference.eagerly(lambda: tf.ones([1, 64, 64, 3])),
                   keras_reference.eagerly(keras.Input, [64, 64, 3])):
        with pytest.raises(ValueError, match='input_tensor must be a tensor of a graph.*use predict'):
            applications.ResNet50(weights=None, input_tensor=tensor)


@pytest.mark.parametrize(('dtype', 'shape', 'kwargs', 'message'), [
    ('float32', [64, 64, 3], {}, r'got float32 of the shape \(64, 64, 3\)'),
    ('string', [1, 64, 64, 3], {}, 'got string'),
    ('bool', [1, 64, 64, 3], {}, 'got bool'),
    ('float32', None, {}, 'of the shape <unknown>'),
    ('float32', [None, None, None, None], {}, 'number of channels must be known'),
    ('float32', [None, 31, None, 3], {}, 'at least 32 x 32'),
    ('float32', [None, 64, 64, 3], {'input_shape': (65, 64, 3)}, r'shape of input_tensor, \(64, 64, 3\); got \(65,'),
    ('float32', [None, 64, 64, 4], {'weights': 'imagenet'}, '3 channels'),
])
def test_tensors_that_are_no_images_are_refused(dtype, shape, kwargs, message):
    tensor = tf.placeholder(dtype, shape)
    with pytest.raises(ValueError, match=message):
        applications.ResNet50(**dict({'weights': None, 'input_tensor': tensor}, **kwargs))
    assert len(tf.get_default_graph().get_operations()) == 1


def test_other_channels_are_taken_with_a_warning():
    with pytest.warns(UserWarning, match=r'usually have 1 or 3 channels; got the shape \(32, 32, 4\)') as warned, \
            tiny(weights=None, classes=2, input_shape=(32, 32, 4)) as model:
        assert model.predict(np.zeros([1, 32, 32, 4])).shape == (1, 2)
    assert warned[0].filename == application_cases.__file__  # the caller's


def test_lists_and_numpy_numbers_are_taken():
    with tiny(weights=None, classes=np.int64(2), input_shape=[np.int32(32), 40, 3]) as model:
        assert model.predict(np.zeros([1, 32, 40, 3])).shape == (1, 2)
