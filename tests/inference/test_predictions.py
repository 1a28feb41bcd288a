"""Predictions, names of classes and heat maps, each against an independent computation."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tiny_inference as tiny

from nets import nets_factory, resnet
from nets.checkpoints import preset_file
from nets.data import preprocessing
from nets.inference import graph, heatmap, predict
from nets.inference.extractor import FeatureExtractor

V2 = 'tiny_inference_v2'
V2_BUILDER = resnet.network(V2, resnet.Layout('bottleneck_v2', num_units=(1, 1), depths=(4, 8), root='preactivated'))


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(nets_factory.NETWORKS, tiny.NAME, tiny.NETWORK)
    monkeypatch.setitem(nets_factory.NETWORKS, V2, nets_factory.Network(
        V2_BUILDER, V2_BUILDER.arg_scope, nets_factory.Preset(tiny.SIZE, 'inception', 1)))


@pytest.mark.parametrize(('name', 'size', 'engine'), [
    (tiny.NAME, 32, 'tensorflow'), (tiny.NAME, 33, 'tensorflow'), (V2, 32, 'tensorflow'), (V2, 33, 'tensorflow'),
    (V2, 32, 'onnxruntime')])
def test_mean_of_a_class_activation_map_plus_bias_is_the_logit(tmp_path, name, size, engine):
    if engine == 'onnxruntime':
        pytest.importorskip('onnx')
        pytest.importorskip('onnxruntime')
    checkpoint = tiny.write_checkpoint(tmp_path, name=name)
    prepared = np.random.RandomState(1).normal(size=(3, size, size, 3))
    logits = f'{name}/logits'
    with FeatureExtractor(name, checkpoint, [graph.CLASS_ACTIVATION_MAPS, logits], image_size=size,
                          engine=engine) as extractor:
        rows = extractor(prepared)
    bias = tf.train.load_variable(checkpoint, f'{logits}/biases')
    assert rows[graph.CLASS_ACTIVATION_MAPS].shape[1] > 1
    assert np.ptp(rows[graph.CLASS_ACTIVATION_MAPS], axis=(1, 2)).min() > 0.01
    expected = rows[logits][:, 0, 0]
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(rows[graph.CLASS_ACTIVATION_MAPS].mean((1, 2)) + bias, expected, rtol=1e-5, atol=1e-5)


def test_likeliest_classes_are_those_of_a_plain_session(tmp_path):
    checkpoint = tiny.write_checkpoint(tmp_path)
    paths = tiny.write_images(tmp_path / 'images', 4)
    with open(paths[1], 'wb') as file:
        file.write(b'')
    with tf.Graph().as_default(), tf.Session() as session:
        files = [tf.io.read_file(path) for path in paths if path != paths[1]]
        prepare = preprocessing.get_preprocessing('inception', False)
        images = tf.stack([prepare(tf.io.decode_png(file, 3), tiny.SIZE, tiny.SIZE) for file in files])
        logits, _ = nets_factory.get_network_fn(tiny.NAME, tiny.NUM_CLASSES)(images)
        tf.train.Saver().restore(session, checkpoint)
        logits = session.run(logits).astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    result = predict.predict(tiny.NAME, checkpoint, paths, top=3, batch_size=2)
    assert result['corrupt'] == [[paths[1], 'it is empty (0 bytes)']]
    assert [one['image'] for one in result['images']] == [paths[0], paths[2], paths[3]]
    for one, probabilities in zip(result['images'], expected, strict=True):
        assert [found['class'] for found in one['predictions']] == np.argsort(-probabilities)[:3].tolist()
        np.testing.assert_allclose([found['probability'] for found in one['predictions']],
                                   np.sort(probabilities)[:-4:-1], rtol=1e-4)
    everything = predict.predict(tiny.NAME, checkpoint, paths[:1], top=99)
    assert len(everything['images'][0]['predictions']) == tiny.NUM_CLASSES


def test_weights_that_are_no_numbers_are_told(tmp_path):
    checkpoint = tiny.write_checkpoint(tmp_path, factor=np.nan)
    with pytest.raises(ValueError, match='no numbers .NaN.; its weights are damaged'):
        predict.predict(tiny.NAME, checkpoint, tiny.write_images(tmp_path / 'images', 1))


def preset(name=tiny.NAME, num_classes=3, names=None, **changes):
    return preset_file.of_network(name, num_classes, names, **changes)


@pytest.mark.parametrize(('content', 'of', 'expected'), [
    ('0:cat\n1:dog\n2:a: b\n', preset, ['cat', 'dog', 'a: b']), ('cat\n\ndog\nbird', preset, ['cat', 'dog', 'bird']),
    ('0:cat\n2:dog', preset, ['cat', '1', 'dog']), ('cat\ndog', lambda: preset(V2), ['background', 'cat', 'dog']),
    ('cat\ndog\nbird', lambda: preset(V2), ['cat', 'dog', 'bird']), (None, preset, ['0', '1', '2']),
    (None, lambda: preset(names=['x', 'y', 'z']), ['x', 'y', 'z'])])
def test_names_of_classes(tmp_path, content, of, expected):
    path = None
    if content is not None:
        path = str(tmp_path / 'labels.txt')
        (tmp_path / 'labels.txt').write_text(content)
    assert predict.class_names(of(), path) == expected


@pytest.mark.parametrize(('content', 'message'), [
    (b'cat\ndog', "labels.txt' names 2 classes; the network has 3"), (b'\n', 'the file is empty'),
    (b'\xff\xfe', 'no text in UTF-8'), (b'1:a\n1:b\n0:c', 'name the class 1 twice'), (None, 'No such file'),
    (b'0:a\n99999999999:b', 'names a class 99999999999; there can be 1000000 at most')])
def test_labels_that_cannot_be_are_told(tmp_path, content, message):
    if content is not None:
        (tmp_path / 'labels.txt').write_bytes(content)
    with pytest.raises(ValueError, match=message):
        predict.class_names(preset(), str(tmp_path / 'labels.txt'))


# What undoes each preprocessing, from the definition of its values.
UNDONE = {
    'vgg': lambda net: net + preprocessing.VGG_MEANS,
    'caffe': lambda net: net[..., ::-1] + preprocessing.VGG_MEANS,
    'inception': lambda net: (net + 1) * 127.5,
    'torchvision': lambda net: (net * preprocessing.TORCHVISION_DEVIATIONS + preprocessing.TORCHVISION_MEANS) * 255,
    'torchvision BGR': lambda net: (net[..., ::-1] * preprocessing.TORCHVISION_DEVIATIONS
                                    + preprocessing.TORCHVISION_MEANS) * 255,
    'cifar': lambda net: (net - net.min()) / (net.max() - net.min()) * 255,
}


@pytest.mark.parametrize('name', UNDONE)
def test_picture_is_what_was_preprocessed(name):
    kind, *order = name.split()
    chosen = preset(preprocessing=kind, **({'channel_order': order[0]} if order else {}))
    with tf.Session() as session:
        prepared = session.run(preset_file.preprocess_fn(chosen)(
            tf.constant(tiny.pixels(40, 50, 3)), tiny.SIZE, tiny.SIZE))
    picture = heatmap.picture_fn(chosen)(prepared)
    assert picture.dtype == np.uint8
    assert picture.std() > 20
    assert np.abs(picture - UNDONE[name](prepared.astype(np.float64))).max() < 0.51


def test_map_is_resized_as_tensorflow_does_it():
    values = np.random.RandomState(0).normal(size=(3, 5))
    with tf.Session() as session:
        expected = session.run(tf.compat.v2.image.resize(values[..., np.newaxis], [32, 41]))[..., 0]
    np.testing.assert_allclose(heatmap.resize(values, 32, 41), expected, atol=1e-5)


def test_colours_run_from_blue_to_red():
    shown = heatmap.colours([0, 0.25, 0.5, 0.75, 1])
    assert np.argmax(shown[[0, 2, 4]], axis=1).tolist() == [2, 1, 0]
    values = np.linspace(0, 1, 101)
    warmth = heatmap.colours(values)[:, 0] - heatmap.colours(values)[:, 2]
    assert (np.diff(warmth) > 0).all()
    assert (warmth[0], warmth[-1]) == (-1, 1)


def test_overlay_is_warmest_where_the_map_is_highest_and_keeps_the_picture():
    activation = np.zeros((4, 4))
    activation[1, 2] = 7
    picture = np.full((32, 32, 3), 100, np.uint8)
    picture[:, :4] = 200
    shown = heatmap.overlay(picture, activation).astype(int)
    warmth = shown[..., 0] - shown[..., 2]
    row, column = np.unravel_index(np.argmax(warmth), warmth.shape)
    assert (row // 8, column // 8) == (1, 2)
    assert (shown[31, 0] - shown[31, 20]).tolist() == [50, 50, 50]
    # A map that is the same everywhere is no reason to fail.
    assert np.ptp(heatmap.overlay(picture, np.ones((4, 4)))[:, 4:], axis=(0, 1)).tolist() == [0, 0, 0]


def test_heat_maps_of_equal_names_are_kept_apart_and_are_the_overlay(tmp_path):
    checkpoint = tiny.write_checkpoint(tmp_path)
    paths = [path for folder in 'abc' for path in tiny.write_images(tmp_path / folder, 1)]
    with open(paths[1], 'wb') as file:
        file.write(tiny.encode(tiny.pixels(50, 40, 77)))
    result = predict.predict(tiny.NAME, checkpoint, paths, heatmap_dir=str(tmp_path / 'maps'))
    assert [one['heatmap'] for one in result['images']] == [
        str(tmp_path / 'maps' / f'00000{suffix}.heatmap.png') for suffix in ('', '-2', '-3')]
    with FeatureExtractor(tiny.NAME, checkpoint, [graph.CLASS_ACTIVATION_MAPS]) as extractor, tf.Session() as session:
        for one in result['images']:
            pixels = session.run(tf.io.decode_png(tf.io.read_file(one['image']), 3))
            prepared = session.run(preset_file.preprocess_fn(extractor.weights.preset)(pixels, tiny.SIZE, tiny.SIZE))
            number = one['predictions'][0]['class']
            activation = extractor(prepared[np.newaxis])[graph.CLASS_ACTIVATION_MAPS][0, ..., number]
            expected = heatmap.overlay(np.rint((prepared + 1) * 127.5).astype(np.uint8), activation)
            drawn = session.run(tf.io.decode_png(tf.io.read_file(one['heatmap'])))
            assert np.abs(drawn.astype(int) - expected).max() <= 1
