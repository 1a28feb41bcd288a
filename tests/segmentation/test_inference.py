"""Evaluation and prediction of a trained segmentation, against the plain network and scikit-learn."""

import dataclasses
import json
import os

import numpy as np
import pytest
import sklearn.decomposition
import sklearn.metrics
import tensorflow.compat.v1 as tf
import tiny_segmentation as tiny
from PIL import Image

from nets.checkpoints import restore
from nets.data.segmentation import label_images, shapes
from nets.segmentation import config, evaluation, model_file, pictures, prediction, worst
from nets.segmentation.segmenter import Segmenter


def _plain(path, image, size=None):
    """Probabilities of the network as it was trained, without folding, by the definition."""
    model = model_file.read(path)
    height, width = size or image.shape[:2]
    with tf.Graph().as_default(), tf.Session() as session:
        net = model_file.standardise_fn(model)(tf.constant(image))[tf.newaxis]
        net = tf.image.resize_bilinear(net, [height, width], align_corners=True)
        padded = -(-(height - 1) // 8) * 8 + 1, -(-(width - 1) // 8) * 8 + 1
        net = tf.pad(net, [[0, 0], [0, padded[0] - height], [0, padded[1] - width], [0, 0]])
        logits, _ = model_file.network_fn(model)(net)
        logits = tf.image.resize_bilinear(logits, padded, align_corners=True)[:, :height, :width]
        logits = tf.image.resize_bilinear(logits, image.shape[:2], align_corners=True)
        restore.restore_fn(path, tf.model_variables())(session)
        return session.run(tf.nn.softmax(logits))[0]


def _image(height, width):
    whole, _ = shapes.draw('validation', 3, size=max(height, width))
    return whole[:height, :width]


@pytest.mark.parametrize('size', [(65, 97), (50, 72)])
def test_probabilities_are_those_of_the_plain_network(trained, size):
    image, path = _image(*size), restore.find_checkpoint(trained.train_dir)
    with Segmenter(config.InferenceConfig(path)) as segmenter:
        found = segmenter.probabilities(image)
        np.testing.assert_array_equal(segmenter.classes(image), found.argmax(2))
    np.testing.assert_allclose(found, _plain(path, image), atol=1e-5)


def test_scales_and_mirrored_images_are_averaged(trained):
    image, path = _image(33, 44), restore.find_checkpoint(trained.train_dir)
    with Segmenter(config.InferenceConfig(path, scales=(0.5, 1.25), flip=True)) as segmenter:
        found = segmenter.probabilities(image)
    parts = []
    for size in ((16, 22), (41, 55)):
        parts += [_plain(path, image, size), _plain(path, image[:, ::-1], size)[:, ::-1]]
    np.testing.assert_allclose(found, np.mean(parts, axis=0), atol=1e-5)


def _at_random(trained, folder, head, **options):
    """The prefix of a checkpoint of another head, of random weights by which no class is the likeliest everywhere."""
    model = model_file.read(restore.find_checkpoint(trained.train_dir))._replace(head=head, head_options=options)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        logits, _ = model_file.network_fn(model)(model_file.standardise_fn(model)(_image(97, 97))[tf.newaxis])
        session.run(tf.global_variables_initializer())
        biases, = [one for one in tf.model_variables() if one.op.name == 'logits/semantic/biases']
        session.run(tf.assign_sub(biases, tf.reduce_mean(logits, [0, 1, 2])))
        tf.train.Saver().save(session, str(folder / 'model.ckpt'), write_meta_graph=False)
    model_file.write(str(folder), model)
    return str(folder / 'model.ckpt')


@pytest.mark.parametrize(('head', 'options'), [
    ('deeplab_v3plus', {'depth': 8, 'atrous_rates': [2], 'decoder_depth': 8, 'projection_depth': 4}),
    ('deeplab_v3', {'depth': 8, 'atrous_rates': [2], 'image_pooling': False})])
def test_tiles_give_what_the_whole_image_gives(trained, tmp_path, head, options):
    path = _at_random(trained, tmp_path, head, **options)
    image = _image(230, 401)
    with Segmenter(config.InferenceConfig(path)) as whole, Segmenter(
            config.InferenceConfig(path, tile_size=193)) as tiled:
        done = []
        found, expected = tiled.classes(image, lambda *parts: done.append(parts)), whole.classes(image)
    assert found.shape == expected.shape == (230, 401)
    assert (found != expected).mean() < 1e-4  # where two classes are equally likely
    assert len(np.unique(expected)) > 1
    assert done[-1][0] == done[-1][1] > 3


def test_tiles_of_a_head_that_pools_otherwise_are_refused(trained, tmp_path):
    path = _at_random(trained, tmp_path, 'psp', depth=8)
    with pytest.raises(ValueError, match="tile_size does not go with the head 'psp'"):
        Segmenter(config.InferenceConfig(path, tile_size=97))


def test_evaluation_equals_scikit_learn_and_tells_the_worst_images(trained, tmp_path):
    settings = config.EvalConfig(config.InferenceConfig(trained.train_dir), str(tmp_path), max_num_images=12)
    result = evaluation.evaluate(settings)
    pixels, expected_ious = [], {}
    with Segmenter(settings.inference) as segmenter:
        for number in range(12):
            image, label = shapes.draw('validation', number)
            predicted = segmenter.classes(image)
            pixels.append((label.ravel(), predicted.ravel()))
            names = np.union1d(label, predicted)
            expected_ious[number] = sklearn.metrics.jaccard_score(
                label.ravel(), predicted.ravel(), labels=names, average='macro', zero_division=0)
    labels, predictions = map(np.concatenate, zip(*pixels, strict=True))
    confusion = sklearn.metrics.confusion_matrix(labels, predictions, labels=range(5))
    np.testing.assert_array_equal(result.details['confusion_matrix'], confusion)
    ious = sklearn.metrics.jaccard_score(labels, predictions, labels=range(5), average=None, zero_division=0)
    np.testing.assert_allclose(result.details['per_class_iou'], ious)
    assert result.summary['mean_iou'] == pytest.approx(ious.mean())
    assert result.summary['pixel_accuracy'] == pytest.approx((labels == predictions).mean())
    assert result.summary['num_images'] == 12
    with open(result.summary['eval_json'], encoding='utf-8') as file:
        assert json.load(file) == result.details
    with open(result.summary['report'], encoding='utf-8') as file:
        page = file.read()
    order = [page.index(f'{number:06d}.png') for number in sorted(range(12), key=expected_ious.get)]
    assert order == sorted(order)
    for expected in (f'{ious.mean() * 100:.2f} %', 'triangle', 'Worst images', '<img alt="prediction"'):
        assert expected in page


def test_loss_is_the_mean_cross_entropy_of_the_pixels_that_count(trained, tmp_path):
    folder = tmp_path / 'data'
    for name in ('images', 'labels'):
        os.makedirs(folder / name / 'validation')
    total, count = 0, 0
    with Segmenter(config.InferenceConfig(trained.train_dir)) as segmenter:
        for number, size in enumerate([(33, 40), (40, 50)]):
            image, label = (array[:size[0], :size[1]] for array in shapes.draw('validation', number, size=64))
            label = np.where(np.arange(size[1]) < 10, 255, label)
            Image.fromarray(image).save(folder / 'images' / 'validation' / f'{number}.png')
            label_images.write(str(folder / 'labels' / 'validation' / f'{number}.png'), label)
            found = segmenter.probabilities(image)[:, 10:]
            own = np.take_along_axis(found, label[:, 10:, np.newaxis], axis=2)
            total, count = total - np.log(own.astype(np.float64)).sum(), count + own.size
    (folder / 'labels.txt').write_text(''.join(f'{number}:{name}\n' for number, name in enumerate(tiny.CLASSES)))
    data = dataclasses.replace(config.EvalConfig().data, dataset_name='voc', dataset_dir=str(folder))
    result = evaluation.evaluate(config.EvalConfig(config.InferenceConfig(trained.train_dir), str(tmp_path), data))
    assert result.summary['loss'] == pytest.approx(total / count, rel=1e-5)
    assert np.sum(result.details['confusion_matrix']) == count


@pytest.fixture(scope='module')
def photographs(tmp_path_factory):
    """A folder with two images of one name, one that is called like a result of theirs, and one that is corrupt."""
    folder = tmp_path_factory.mktemp('photographs')
    (folder / 'more').mkdir()
    for path, size in (('one.png', (40, 60)), ('more/one.png', (33, 33)), ('one.overlay.png', (9, 9))):
        Image.fromarray(_image(*size)).save(folder / path)
    (folder / 'broken.jpg').write_bytes(b'\xff\xd8\xff nothing')
    return folder


def test_prediction_writes_classes_overlays_features_and_heat_maps(trained, photographs, tmp_path):
    settings = config.InferenceConfig(trained.train_dir)
    result = prediction.predict(settings, [str(photographs)], str(tmp_path), ['features', 'heatmap'], None, ['cross'])
    assert [name for name, _ in result['corrupt']] == [str(photographs / 'broken.jpg')]
    assert 'JPEG' in result['corrupt'][0][1]
    assert result['end_point'] == 'decoder/decoder_conv1'
    assert sorted(os.listdir(tmp_path)) == sorted(
        stem + end for stem in ('one', 'one-2', 'one.overlay-2') for end in (
            '.png', '.overlay.png', '.features.png', '.cross.heatmap.png'))
    entry = next(one for one in result['images'] if one['image'] == str(photographs / 'one.png'))
    image = np.asarray(Image.open(photographs / 'one.png'))
    with Segmenter(settings, ['tiny_v1/block1']) as segmenter:
        probabilities = segmenter.probabilities(image)
        (features, shares), = segmenter.features(image).values()
    assert features.shape == (6, 9, 16)  # 41 x 65 pixels at a stride of 8
    assert shares == (40 / 41, 60 / 65)
    with open(entry['classes'], 'rb') as file:
        np.testing.assert_array_equal(label_images.decode(file.read()), probabilities.argmax(2))
    with Image.open(entry['classes']) as written:
        assert written.mode == 'P'
    overlay = np.asarray(Image.open(entry['overlay']), int)
    colours = label_images.voc_palette()[probabilities.argmax(2)]
    np.testing.assert_allclose(overlay, (image + colours.astype(int)) / 2, atol=0.51)
    for path in (entry['features'], entry['heatmaps']['cross']):
        assert np.asarray(Image.open(path)).shape == image.shape
    assert sum(entry['shares'].values()) == pytest.approx(1)


def test_colours_are_the_three_components_that_vary_most():
    rng = np.random.RandomState(0)
    features = (rng.randn(12, 10, 5) * [5, 4, 3, 2, 1]) @ np.linalg.qr(rng.randn(5, 5))[0] + 7
    image = np.zeros([12, 10, 3], np.uint8)
    found = pictures.principal_components(image, np.pad(features, [(0, 2), (0, 2), (0, 0)]), (12 / 14, 10 / 12))
    components = sklearn.decomposition.PCA(3).fit_transform(features.reshape(-1, 5))
    for channel in range(3):
        correlation = np.corrcoef(found[..., channel].ravel(), components[:, channel])[0, 1]
        assert abs(correlation) > 0.98
    with pytest.raises(ValueError, match='no numbers'):
        pictures.principal_components(image, features * np.nan)


def test_heat_maps_are_blue_where_a_class_is_not_and_red_where_it_is():
    found = pictures.heatmap(np.zeros([1, 2, 3], np.uint8), np.array([[0.0, 1.0]]))
    np.testing.assert_array_equal(found, [[[0, 0, 153], [153, 0, 0]]])


def test_worst_images_are_kept_small_and_in_order(trained):
    kept = worst.Worst(kept=2)
    for number, iou in enumerate([0.5, 0.1, None, 0.3, 0.9]):
        kept.add(iou, f'{number}.jpg', np.zeros([600, 900, 3], np.uint8), np.zeros([600, 900], int),
                 np.full([600, 900], 255))
    cards = kept.cards(model_file.read(restore.find_checkpoint(trained.train_dir)))
    assert [(iou, name) for iou, name, *_ in cards] == [(0.1, '1.jpg'), (0.3, '3.jpg')]


@pytest.mark.parametrize(('change', 'message'), [
    ({}, 'must be a JSON object of network, head'), ({'class_names': []}, 'class_names must be a list of strings'),
    ({'palette': [[0, 0, 999]] * 5}, 'palette must be'), ({'head': 'unet'}, "Unknown head 'unet'"),
    ({'preprocessing': 'cifar'}, "got 'cifar'"), ({'output_stride': 5}, 'output_stride')])
def test_damaged_file_of_a_model_is_told_with_its_name(trained, tmp_path, change, message):
    fields = model_file.read(restore.find_checkpoint(trained.train_dir))._asdict()
    path = str(tmp_path / 'segmentation.json')
    with open(path, 'w', encoding='utf-8') as file:
        json.dump({**fields, **change} if change else {'network': 'tiny_v1'}, file)
    with pytest.raises(ValueError, match=message) as error:
        model_file.read_file(path)
    assert path in str(error.value)


@pytest.mark.parametrize(('arguments', 'message'), [
    ((['{photos}/none'], '{tmp}/a'), 'is no folder, no file'),
    ((['{photos}'], '{tmp}/file'), 'there is a file of that name'),
    ((['{photos}'], '{tmp}/a', ['features'], 'decoder_conv1'), "did you mean 'decoder/decoder_conv1'"),
    ((['{photos}'], '{tmp}/a', ['heatmap'], None, ['star']), "There is no class 'star'; the classes are background"),
    ((['{photos}'], '{tmp}/a', [], 'decoder/decoder_conv1'), '--end_point is for --show features'),
    ((['{photos}'], '{tmp}/a', ['features'], None, ['cross']), '--class_names is for --show heatmap'),
    ((['{photos}'], '{photos}'), 'results could overwrite. Name another folder'),
    ((['{photos}'], '{tmp}/a', ['classes']), "show must be features or heatmap; got 'classes'")])
def test_what_cannot_be_predicted_is_told(trained, photographs, tmp_path, arguments, message):
    (tmp_path / 'file').write_text('x')

    def filled(value):
        if isinstance(value, list):
            return [filled(one) for one in value]
        return value and value.replace('{photos}', str(photographs)).replace('{tmp}', str(tmp_path))

    with pytest.raises(ValueError, match=message):
        prediction.predict(config.InferenceConfig(trained.train_dir), *map(filled, arguments))


def test_checkpoint_without_a_model_is_told():
    with pytest.raises(ValueError, match=r'There is no segmentation.json beside .*tiny_v1'):
        Segmenter(config.InferenceConfig(tiny.CHECKPOINT))
