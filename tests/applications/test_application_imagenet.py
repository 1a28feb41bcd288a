"""Published weights: fetched through Keras, checked by their hash, converted once; and what is said without a network.

No file is published here: files of random weights lie where the published ones would, with their own hashes.
"""

import ast
import hashlib
import os
import shutil
import urllib.error

import h5py
import keras
import keras_reference
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from application_cases import LIMIT, images_of, keras_function, output_of, predict

from nets import applications
from nets.applications import application, imagenet, resnet
from nets.checkpoints import convert, preset_file

SIZE = (64, 64)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of Keras, and no network."""
    get_file = keras.utils.get_file
    asked = []

    def get(name, url, **kwargs):
        asked.append(url)
        return get_file(name, url, cache_dir=str(tmp_path), **kwargs)

    def refuse(url, *args):
        raise urllib.error.URLError('Name or service not known')

    monkeypatch.setattr(keras.utils, 'get_file', get)
    monkeypatch.setattr('keras.src.utils.file_utils.urlretrieve', refuse)
    monkeypatch.setenv('KERAS_HOME', str(tmp_path))
    os.mkdir(tmp_path / 'models')
    yield tmp_path / 'models'
    assert len(set(asked)) <= 1


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    """Files of a small network with 1000 classes, with and without its top, as Keras writes them; and the network."""
    model = keras_reference.eagerly(
        keras_reference.build, keras_function('Small'), 1000, classifier_activation='softmax')
    arrays = keras_reference.arrays_of(model)
    paths = {}
    for include_top in (True, False):
        paths[include_top] = tmp_path_factory.mktemp('published') / 'file.h5'
        with h5py.File(paths[include_top], 'w') as file:
            keras_reference.write_legacy(file, {name: array for name, array in arrays.items()
                                                if include_top or not name.startswith('predictions/')})
    return model, paths


def put(cache, paths):
    """Puts the files where published ones would be, and returns the application that takes them for such."""
    md5 = {include_top: hashlib.md5(path.read_bytes()).hexdigest() for include_top, path in paths.items()}
    files = imagenet.published('resnet50', md5[True], md5[False])
    for include_top, path in paths.items():
        shutil.copy(path, cache / files[include_top].name)
    return application.application('Small', 'small', files, __name__), files


def test_published_weights_are_converted_once_and_compute_what_keras_computes(cache, published):
    theirs, paths = published
    function, files = put(cache, paths)
    images = images_of(2, (224, 224))
    with function() as model:
        first = model.predict(images)
        assert keras_reference.error(first, predict(theirs, images)) <= LIMIT
    converted = str(cache / files[True].name[:-3]) + '.{}.ckpt'.format(files[True].md5[:8])
    assert preset_file.read(converted).preprocessing == 'caffe'
    when = os.stat(converted + '.index').st_mtime_ns
    with function() as model:
        np.testing.assert_array_equal(model.predict(images), first)
    assert os.stat(converted + '.index').st_mtime_ns == when


def test_published_weights_without_a_top(cache, published):
    theirs, paths = published
    function, _ = put(cache, paths)
    images = images_of(2, SIZE)
    expected = output_of(theirs, 'conv5_block2_out', images)
    with function(include_top=False) as model:
        assert keras_reference.error(model.predict(images), expected) <= LIMIT
    net, _ = function(include_top=False, input_tensor=tf.constant(images))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert keras_reference.error(session.run(net), expected) <= LIMIT
    assert not [name for name in os.listdir(cache) if 'ckpt' in name and 'notop' not in name]


def test_a_damaged_conversion_is_made_anew(cache, published):
    theirs, paths = published
    function, _ = put(cache, paths)
    function(include_top=False).close()
    damaged, = [cache / name for name in os.listdir(cache) if '.data-' in name]
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:len(whole) // 2])
    images = images_of(1, SIZE)
    with function(include_top=False) as model:
        assert keras_reference.error(model.predict(images), output_of(theirs, 'conv5_block2_out', images)) <= LIMIT
    assert damaged.read_bytes() == whole


def test_where_the_cache_is_not_writable_the_file_itself_is_read(cache, published, monkeypatch):
    theirs, paths = published
    function, _ = put(cache, paths)

    def fail(*args, **kwargs):
        raise PermissionError(13, 'Permission denied')
    monkeypatch.setattr(convert, 'convert', fail)
    images = images_of(1, SIZE)
    with function(include_top=False) as model:
        assert keras_reference.error(model.predict(images), output_of(theirs, 'conv5_block2_out', images)) <= LIMIT
    assert not [name for name in os.listdir(cache) if 'ckpt' in name]


@pytest.mark.parametrize(('name', 'md5', 'url', 'file'), [
    ('ResNet50', '2cb95161c43110f7111970584f804107', 'https://storage.googleapis.com/tensorflow/keras-applications',
     'resnet50_weights_tf_dim_ordering_tf_kernels.h5'),
    ('ResNeXt50_32x4d', '67a5b30d522ed92f75a1f16eef299d1a',
     'https://github.com/keras-team/keras-applications/releases/download',
     'resnext50_weights_tf_dim_ordering_tf_kernels.h5')])
def test_without_a_network_it_says_what_to_put_where(cache, name, md5, url, file):
    with pytest.raises(OSError, match='cannot be fetched') as raised:
        getattr(applications, name)()
    message = str(raised.value)
    assert '{}/resnet/{} cannot be fetched'.format(url, file) in message
    assert 'Name or service not known' in message
    assert 'put it to {}; its MD5 hash must be {}'.format(cache / file, md5) in message


def test_a_file_with_another_hash_is_not_taken(cache, published):
    shutil.copy(published[1][True], cache / 'resnet50_weights_tf_dim_ordering_tf_kernels.h5')
    with pytest.raises(OSError, match='cannot be fetched'):
        applications.ResNet50()
    assert not [name for name in os.listdir(cache) if 'ckpt' in name]


def test_classes_without_a_network(cache, monkeypatch):
    monkeypatch.setattr('keras.src.applications.imagenet_utils.CLASS_INDEX', None)
    with pytest.raises(OSError, match='imagenet_class_index.json cannot be fetched .* put it to .*models/image'):
        resnet.decode_predictions(np.zeros([1, 1000]))


def test_keras_is_imported_where_it_is_needed_only():
    """TensorFlow imports Keras itself, if it can; without it everything works but what Keras fetches."""
    folder = os.path.dirname(application.__file__)
    seen = 0
    for name in os.listdir(folder):
        if name.endswith('.py'):
            with open(os.path.join(folder, name), encoding='utf-8') as file:
                body = ast.parse(file.read()).body
            imported = [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]
            imported += [node.module for node in body if isinstance(node, ast.ImportFrom)]
            assert not [module for module in imported if module.split('.')[0] in ('keras', 'h5py', 'tqdm')], name
            seen += len(imported)
    assert seen > 20
