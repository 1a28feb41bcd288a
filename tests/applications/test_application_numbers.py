"""The applications compute what Keras computes with the same file of weights."""

import inspect

import keras
import keras_reference
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from application_cases import CLASSES, LIMIT, SMALL, images_of, output_of, predict

from nets import applications
from nets.applications import arguments, imagenet, resnet, resnet50, resnet_v2, resnext

SIZE = (64, 81)
NETWORKS = {
    'ResNet50': 'resnet_keras_50', 'ResNet101': 'resnet_keras_101', 'ResNet152': 'resnet_keras_152',
    'ResNet50V2': 'resnet_keras_v2_50', 'ResNet101V2': 'resnet_keras_v2_101', 'ResNet152V2': 'resnet_keras_v2_152',
    'ResNeXt50_32x4d': 'resnext_keras_50_32x4d'}
MODES = {resnet: 'caffe', resnet50: 'caffe', resnet_v2: 'tf', resnext: 'torch'}


@pytest.mark.parametrize('name', ['ResNet50', 'ResNet50V2', 'ResNeXt50_32x4d'])
def test_predict_is_that_of_keras(keras_file, name):
    theirs, path = keras_file(name)
    images = images_of()
    with getattr(applications, name)(weights=str(path), classes=CLASSES, input_shape=SIZE + (3,)) as ours:
        actual = ours.predict(images, batch_size=2)
        assert actual.dtype == np.float32
        assert keras_reference.error(actual, predict(theirs, images)) <= LIMIT
        layer = 'conv3_block4_out'
        assert keras_reference.error(ours.features(images, 'block2'), output_of(theirs, layer, images)) <= LIMIT


@pytest.mark.parametrize(('name', 'pooling', 'pool'), [
    ('Small', None, lambda net: net), ('SmallV2', None, lambda net: net),
    ('Small', 'avg', lambda net: net.mean((1, 2))), ('SmallV2', 'max', lambda net: net.max((1, 2)))])
def test_features_without_a_top_are_those_of_keras_at_any_size(keras_file, name, pooling, pool):
    theirs, path = keras_file(name)
    with SMALL[name](include_top=False, weights=path, pooling=pooling) as ours:
        for size in [(64, 64), (65, 97)]:
            images = images_of(2, size)
            expected = pool(output_of(theirs, 'conv5_block2_out' if name == 'Small' else 'post_relu', images))
            assert keras_reference.error(ours.predict(images), expected) <= LIMIT


@pytest.mark.parametrize('activation', [None, tf.sigmoid])
def test_without_softmax_the_logits_come_out(loaded, activation):
    _, theirs, path = loaded
    images = images_of()
    probabilities = predict(theirs, images)
    if activation is tf.sigmoid:
        random = SMALL['Small'](weights=None, classes=CLASSES, input_shape=SIZE + (3,),
                                classifier_activation=activation)
        with random:
            random.load_weights(path)
            actual = random.predict(images)
        actual = np.log(actual / (1 - actual))
    else:
        with SMALL['Small'](weights=path, classes=CLASSES, input_shape=SIZE + (3,),
                            classifier_activation=activation) as ours:
            actual = ours.predict(images)
    softmax = np.exp(actual) / np.exp(actual).sum(1, keepdims=True)
    assert abs(actual.sum(1) - 1).min() > 0.1
    assert keras_reference.error(softmax, probabilities) <= LIMIT


@pytest.mark.parametrize('name', [name for name in arguments.ACTIVATIONS if name])
def test_activations_are_those_of_keras_by_the_same_name(name):
    logits = images_of(1)[0, :, :, 0]
    expected = keras_reference.eagerly(
        lambda: keras.activations.get(name)(keras.ops.convert_to_tensor(logits)).numpy())
    function = arguments.ACTIVATIONS[name] or tf.identity
    with tf.Session() as session:
        actual = session.run(function(tf.constant(logits)))
    assert keras_reference.error(actual, expected) <= 1e-6


@pytest.mark.parametrize('name', list(NETWORKS))
def test_each_function_builds_its_network_and_reads_as_that_of_keras(name):
    function = getattr(applications, name)
    assert inspect.getclosurevars(function).nonlocals['network_name'] == NETWORKS[name]
    assert function.__name__ == name
    assert name in function.__doc__
    theirs = getattr(keras.applications, name, keras.applications.ResNet50)
    parameters = dict(inspect.signature(theirs).parameters)
    del parameters['name']
    assert list(inspect.signature(function).parameters.values()) == list(parameters.values())


def test_published_files_are_those_of_keras():
    from keras.src.applications import resnet as theirs
    found = {}
    for module in (resnet, resnet_v2, resnext):
        for name in [name for name in vars(module) if name.startswith('ResNe')]:
            files = inspect.getclosurevars(getattr(module, name)).nonlocals['published']
            for include_top, file in files.items():
                end = '_weights_tf_dim_ordering_tf_kernels{}.h5'.format('' if include_top else '_notop')
                assert file.url.endswith('/resnet/' + file.name)
                assert file.name.endswith(end)
                network = file.name[:-len(end)]
                found.setdefault(network, [None, None])[0 if include_top else 1] = file.md5
                if network != 'resnext50':
                    assert file.url == theirs.BASE_WEIGHTS_PATH + file.name
    assert found == {name: list(hashes) for name, hashes in theirs.WEIGHTS_HASHES.items() if name != 'resnext101'}


@pytest.mark.parametrize('data_format', [None, 'channels_first', 'channels_last'])
@pytest.mark.parametrize('dtype', [np.float32, np.float64, np.float16, np.uint8])
@pytest.mark.parametrize('shape', [(2, 3, 3, 3), (3, 3, 3)])
@pytest.mark.parametrize('module', list(MODES), ids=lambda module: module.__name__.split('.')[-1])
def test_images_are_prepared_as_by_keras(module, shape, dtype, data_format):
    images = np.random.default_rng(0).uniform(0, 255, shape).astype(dtype)
    before = images.copy()
    preprocess_input = keras.applications.imagenet_utils.preprocess_input
    expected = preprocess_input(images.copy(), data_format=data_format, mode=MODES[module])
    actual = module.preprocess_input(images, data_format)
    np.testing.assert_array_equal(actual, expected, strict=True)
    np.testing.assert_array_equal(images, before)
    placeholder = tf.placeholder(dtype, shape if dtype is np.float32 else [None] * len(shape[:-1]) + [3])
    if data_format == 'channels_first' and placeholder.shape.as_list()[-3] is None:
        placeholder.set_shape([3 if i == len(shape) - 3 else None for i in range(len(shape))])
    tensor = module.preprocess_input(placeholder, data_format)
    with tf.Session() as session:
        in_graph = session.run(tensor, {placeholder: images})
    if dtype is not np.uint8:  # where Keras' tensors fail
        expected = keras_reference.eagerly(lambda: preprocess_input(
            keras.ops.convert_to_tensor(images), data_format=data_format, mode=MODES[module]).numpy())
    # TensorFlow multiplies by the inverse of what a graph divides by.
    assert (in_graph.dtype, in_graph.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(in_graph, expected, rtol=0, atol=8 * np.finfo(expected.dtype).eps)


@pytest.mark.parametrize(('x', 'data_format', 'message'), [
    (np.zeros([2, 2]), None, r'shape is \(2, 2\)'),
    (np.zeros([2, 2, 4]), None, r'shape is \(2, 2, 4\)'),
    (np.zeros([1, 3, 4, 4]), None, r'shape is \(1, 3, 4, 4\)'),
    (np.zeros([2, 2, 3]), 'NHWC', "got 'NHWC'")])
def test_what_are_no_images_is_refused(x, data_format, message):
    with pytest.raises(ValueError, match=message):
        resnet.preprocess_input(x, data_format)


def test_classes_are_decoded_by_keras(monkeypatch):
    from keras.src.applications import imagenet_utils
    monkeypatch.setattr(imagenet_utils, 'CLASS_INDEX', {str(i): ['n%04d' % i, 'class %d' % i] for i in range(1000)})
    probabilities = np.random.default_rng(0).permutation(1000)[np.newaxis] / 1000
    best = [int(i) for i in np.argsort(-probabilities[0])[:2]]
    assert resnet.decode_predictions(probabilities, top=2) == [
        [('n%04d' % i, 'class %d' % i, probabilities[0, i]) for i in best]]
    assert resnet_v2.decode_predictions is resnext.decode_predictions is imagenet.decode_predictions
    with pytest.raises(ValueError, match=r'\[number of images, 1000\]; their shape is \[1, 10\]'):
        resnet.decode_predictions(np.zeros([1, 10]))
