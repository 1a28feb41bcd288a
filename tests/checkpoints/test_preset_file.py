"""What stands in a preset's file is what is used, and what cannot be used is an error that names the file."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.checkpoints import preset_file
from nets.data import preprocessing

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'goldens', 'checkpoints', 'tiny_v1')
NETWORKS = {'vgg': 'resnet_v1_50', 'caffe': 'resnet_keras_50', 'inception': 'resnet_v2_50',
            'torchvision': 'resnet_v15_50', 'cifar': 'resnet_cifar_20'}


@pytest.fixture(scope='module')
def photo():
    return np.random.default_rng(0).integers(0, 256, [57, 73, 3]).astype(np.uint8)


@pytest.fixture
def prefix(tmp_path):
    shutil.copytree(GOLDEN, str(tmp_path / 'run'))
    return str(tmp_path / 'run' / 'model.ckpt-5')


def evaluated(fn, photo, size):
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(fn(tf.constant(photo), size, size))


def changed(name, photo, size=32, **options):
    preset = preset_file.of_network(NETWORKS[name], 7, image_size=size, **options)
    return evaluated(preset_file.preprocess_fn(preset), photo, size)


@pytest.mark.parametrize('name', NETWORKS)
def test_explicit_values_are_those_that_the_preprocessing_has_unless_told_otherwise(name, photo):
    preset = preset_file.of_network(NETWORKS[name], 7, image_size=32)
    assert preset.preprocessing == name
    bare = preprocessing.get_preprocessing(name, is_training=False)
    np.testing.assert_array_equal(
        evaluated(preset_file.preprocess_fn(preset), photo, 32), evaluated(bare, photo, 32), strict=True)


def test_a_preset_is_read_as_it_was_written(prefix):
    preset = preset_file.of_network(
        'resnet_v15_50', 3, ('Ä', 'b', 'c'), image_size=288, resize_side=320, interpolation='bicubic',
        means=[0.1, 0.2, 0.3])
    path = preset_file.write(prefix, preset)
    assert path == prefix + '.preset.json'
    for way in (prefix, prefix + '.index', os.path.dirname(prefix)):
        assert preset_file.read(way) == preset
    assert sorted(os.listdir(os.path.dirname(prefix))) == sorted(os.listdir(GOLDEN) + [os.path.basename(path)])


def test_a_checkpoints_own_preset_goes_before_that_of_its_directory(prefix):
    own, shared = (preset_file.of_network('resnet_v1_50', classes) for classes in (3, 4))
    assert preset_file.read(prefix) is None
    preset_file.write_file(os.path.join(os.path.dirname(prefix), 'preset.json'), shared)
    assert preset_file.read(prefix) == shared
    preset_file.write(prefix, own)
    assert preset_file.read(prefix) == own


@pytest.mark.parametrize('name', ['vgg', 'caffe', 'inception', 'torchvision'])
def test_means_deviations_and_channel_order_are_used(name, photo):
    plain = changed(name, photo)
    options = preset_file.of_network(NETWORKS[name], 7).options
    order = options['channel_order']
    other = {'RGB': 'BGR', 'BGR': 'RGB'}[order]
    np.testing.assert_array_equal(changed(name, photo, channel_order=other), plain[..., ::-1])
    step = np.array([1, 2, 4]) * np.array(options['deviations'])
    moved = changed(name, photo, means=list(np.array(options['means']) + step))
    np.testing.assert_allclose(plain - moved, np.broadcast_to([1, 2, 4][::1 if order == 'RGB' else -1], plain.shape),
                               atol=1e-4)
    halved = changed(name, photo, deviations=list(2 * np.array(options['deviations'])))
    np.testing.assert_allclose(halved, plain / 2, rtol=1e-6)


def test_sizes_crop_and_interpolation_are_used(photo):
    for name in ('vgg', 'torchvision'):
        bare = preprocessing.get_preprocessing(name, is_training=False)
        expected = evaluated(lambda *args, bare=bare: bare(*args, resize_side=50), photo, 32)
        np.testing.assert_array_equal(changed(name, photo, resize_side=50), expected)
        assert np.abs(expected - changed(name, photo)).max() > 0.1
    whole = changed('inception', photo, central_fraction=1.0)
    resized = tf.raw_ops.ResizeBilinear(images=photo[np.newaxis] / np.float32(255), size=[32, 32])[0]
    with tf.Session() as session:
        np.testing.assert_allclose(whole, session.run(resized) * 2 - 1, atol=1e-6)


def test_bicubic_is_pillows(photo):
    image = pytest.importorskip('PIL.Image')
    pixels = changed('torchvision', photo, interpolation='bicubic', resize_side=40, means=[0, 0, 0],
                     deviations=[1 / 255, 1 / 255, 1 / 255])
    resized = image.fromarray(photo).resize((73 * 40 // 57, 40), image.Resampling.BICUBIC)
    left = round((73 * 40 // 57 - 32) / 2)
    expected = np.asarray(resized)[4:36, left:left + 32]
    # Pillow computes with integers of 22 bits; a half is rounded the other way now and then.
    difference = np.abs(pixels - expected)
    assert difference.max() <= 1.01
    assert (difference > 0.5).mean() < 0.002
    assert np.abs(pixels - changed('torchvision', photo, resize_side=40, means=[0, 0, 0],
                                   deviations=[1 / 255, 1 / 255, 1 / 255])).max() > 5


def test_training_takes_the_colours_of_the_preset(photo):
    def trained(**options):
        preset = preset_file.of_network('resnet_v15_50', 7, image_size=32, **options)
        fn = preset_file.preprocess_fn(preset, is_training=True)
        return evaluated(lambda *args: fn(*args, seed=tf.constant([1, 2])), photo, 32)

    scaled = trained(means=[0, 0, 0], deviations=[1, 1, 1], channel_order='BGR')
    expected = (scaled[..., ::-1] - preprocessing.TORCHVISION_MEANS) / preprocessing.TORCHVISION_DEVIATIONS
    np.testing.assert_allclose(trained(), expected, atol=1e-5)


REFUSED = {
    'size': ({'image_size': 0}, 'image_size must be a whole number from 1; got 0'),
    'text for a size': ({'image_size': '224'}, "image_size must be a whole number from 1; got '224'"),
    'preprocessing': ({'preprocessing': 'vg'}, "got 'vg'"),
    'unknown option': ({'options': {'resize': 3}}, "unknown or missing: .*'resize'"),
    'missing option': ({'options.crop': None}, "unknown or missing: 'crop'"),
    'crop': ({'options.crop': 'corner'}, "crop must be 'centre' in this preset; got 'corner'"),
    'interpolation': ({'options.interpolation': 'box'}, "interpolation must be 'bilinear' or 'bicubic' .*'box'"),
    'order': ({'options.channel_order': 'GBR'}, "channel_order must be 'RGB' or 'BGR'; got 'GBR'"),
    'means': ({'options.means': [1, 2]}, r'means must be three numbers, red, green and blue; got \[1, 2\]'),
    'nan': ({'options.means': [1, 2, float('nan')]}, 'means must be three numbers'),
    'deviations': ({'options.deviations': [1, 0, 1]}, 'deviations must be three numbers, .*above 0'),
    'side': ({'options.resize_side': 100}, 'resize_side must be at least the crop of 224x224; got 100'),
    'side of nothing': ({'options.resize_side': 0}, 'resize_side must be at least the crop of 224x224; got 0'),
    'side of text': ({'options.resize_side': 'x'}, 'cannot be honoured'),
    'classes': ({'num_classes': -1}, 'num_classes must be a whole number from 0; got -1'),
    'names': ({'class_names': ['a']}, 'class_names must be one for each of the 5 classes; got 1'),
    'names of no text': ({'class_names': [1, 2, 3, 4, 5]}, 'class_names must be a list of strings'),
    'unknown field': ({'mean': 3}, "must be a JSON object of network, .*'mean'"),
    'no object': (None, 'must be a JSON object'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_what_cannot_be_honoured_is_an_error_that_names_the_file(case, prefix):
    changes, message = REFUSED[case]
    path = preset_file.write(prefix, preset_file.of_network('resnet_v15_50', 5))
    with open(path, encoding='utf-8') as file:
        fields = json.load(file)
    for key, value in (changes or {}).items():
        part = fields['options'] if key.startswith('options.') else fields
        part[key.split('.')[-1]] = value
        if value is None:
            del part[key.split('.')[-1]]
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(fields if changes else [1], file)
    with pytest.raises(ValueError, match=message) as error:
        preset_file.read(prefix)
    assert path in str(error.value)


def test_a_damaged_file_is_an_error_that_names_it(prefix):
    path = preset_file.write(prefix, preset_file.of_network('resnet_v15_50', 5))
    with open(path, 'r+b') as file:
        file.truncate(40)
    with pytest.raises(ValueError, match='preset.json cannot be read.*remove it'):
        preset_file.read(prefix)


def test_a_refused_preset_leaves_the_old_file(prefix):
    preset = preset_file.of_network('resnet_v15_50', 5)
    preset_file.write(prefix, preset)
    with pytest.raises(ValueError, match='num_classes'):
        preset_file.write(prefix, preset._replace(num_classes=-1))
    assert preset_file.read(prefix) == preset
