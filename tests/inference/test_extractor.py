"""Features equal those of a plain session on the same graph, from arrays, pixels and files of any kind."""

import io
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tiny_inference as tiny
from PIL import Image

import nets
from nets import nets_factory
from nets.checkpoints import preset_file
from nets.data import preprocessing, records
from nets.inference import images
from nets.inference.extractor import FeatureExtractor

BLOCK1, BLOCK2 = (f'{tiny.NAME}/block{number}' for number in (1, 2))
LOGITS = f'{tiny.NAME}/logits'


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(nets_factory.NETWORKS, tiny.NAME, tiny.NETWORK)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(nets_factory.NETWORKS, tiny.NAME, tiny.NETWORK)
        return tiny.write_checkpoint(tmp_path_factory.mktemp('checkpoint'))


def plain(checkpoint, prepared, end_points, num_classes=tiny.NUM_CLASSES):
    """What a session of the user's own gives."""
    prepared = np.asarray(prepared, np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.placeholder(tf.float32, [None] + list(prepared.shape[1:]))
        _, known = nets_factory.get_network_fn(tiny.NAME, num_classes)(inputs)
        tf.train.Saver().restore(session, checkpoint)
        return session.run({name: known[name] for name in end_points}, {inputs: prepared})


def prepare(pixels, size=tiny.SIZE, name='inception', **options):
    """What the preprocessing makes of images, uint8 each."""
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.placeholder(tf.uint8, [None, None, 3])
        prepared = preprocessing.get_preprocessing(name, False)(inputs, size, size, **options)
        return np.stack([session.run(prepared, {inputs: image}) for image in pixels])


def assert_equal(actual, expected):
    assert list(actual) == list(expected)
    for name in expected:
        assert np.abs(expected[name]).max() > 0.1
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('size', [32, 33])
@pytest.mark.parametrize(('batch_size', 'engine'), [(1, 'tensorflow'), (3, 'tensorflow'), (32, 'tensorflow'),
                                                    (3, 'onnxruntime')])
def test_prepared_arrays_give_what_a_plain_session_gives(checkpoint, size, batch_size, engine):
    if engine == 'onnxruntime':
        pytest.importorskip('onnx')
        pytest.importorskip('onnxruntime')
    prepared = np.random.RandomState(0).normal(size=(7, size, size, 3))
    end_points = [LOGITS, BLOCK1, 'global_pool', 'predictions']
    with FeatureExtractor(tiny.NAME, checkpoint, end_points, image_size=size, batch_size=batch_size,
                          engine=engine) as extractor:
        assert_equal(extractor(prepared), plain(checkpoint, prepared, end_points))


def test_spatial_average_is_the_mean_of_the_map(checkpoint):
    prepared = np.random.RandomState(0).normal(size=(2, tiny.SIZE, tiny.SIZE, 3))
    end_points = [BLOCK2, 'predictions', 'global_pool']
    with FeatureExtractor(tiny.NAME, checkpoint, end_points, spatial_average=True) as extractor:
        actual = extractor(prepared)
    expected = plain(checkpoint, prepared, end_points)
    assert_equal(actual, {BLOCK2: expected[BLOCK2].mean((1, 2)), 'predictions': expected['predictions'],
                          'global_pool': expected['global_pool'][:, 0, 0]})


def test_float16_is_the_rounded_float32(checkpoint):
    prepared = np.random.RandomState(0).normal(size=(2, tiny.SIZE, tiny.SIZE, 3)).astype(np.float32)
    with FeatureExtractor(tiny.NAME, checkpoint) as full, FeatureExtractor(
            tiny.NAME, checkpoint, dtype='float16') as half:
        assert half(prepared)['global_pool'].dtype == np.float16
        np.testing.assert_array_equal(half(prepared)['global_pool'], full(prepared)['global_pool'].astype(np.float16))
        with pytest.raises(ValueError, match="'global_pool' reach .* float16 ends at 65504"):
            half(prepared * 1e6)


def test_pixels_and_files_are_preprocessed_as_the_preset_says(checkpoint, tmp_path):
    pixels = [tiny.pixels(height, width, height) for height, width in [(40, 50), (33, 47), (32, 32), (90, 31)]]
    paths = []
    for number, image in enumerate(pixels):
        paths.append(tmp_path / f'{number}.png')
        paths[-1].write_bytes(tiny.encode(image))
    expected = plain(checkpoint, prepare(pixels), ['global_pool'])
    with FeatureExtractor(tiny.NAME, checkpoint, batch_size=3) as extractor:
        assert_equal(extractor(pixels), expected)
        assert_equal(extractor(paths), expected)
        assert_equal(extractor(np.stack([pixels[0]] * 2)), {'global_pool': expected['global_pool'][[0, 0]]})
        streamed = list(extractor.stream(paths[::-1]))
        assert [name for name, _ in streamed] == [str(path) for path in paths[::-1]]
        rows = {'global_pool': np.stack([row['global_pool'] for _, row in streamed])}
        assert_equal(rows, {'global_pool': expected['global_pool'][::-1]})
    with FeatureExtractor(tiny.NAME, checkpoint, preprocessing='vgg', image_size=37) as extractor:
        assert_equal(extractor(paths), plain(checkpoint, prepare(pixels, 37, 'vgg'), ['global_pool']))


def test_preset_beside_the_checkpoint_is_used(tmp_path):
    checkpoint = tiny.write_checkpoint(tmp_path)
    preset = preset_file.of_network(tiny.NAME, tiny.NUM_CLASSES, preprocessing='torchvision', image_size=35,
                                    resize_side=50, means=[0.4, 0.5, 0.6])
    preset_file.write(checkpoint, preset)
    pixels = [tiny.pixels(60, 70, 0)]

    def expected(size, side):
        return plain(checkpoint, prepare(pixels, size, 'torchvision', resize_side=side, means=[0.4, 0.5, 0.6]),
                     ['global_pool'])

    with FeatureExtractor(None, checkpoint) as extractor:
        assert_equal(extractor(pixels), expected(35, 50))
    # Twice the size of the image: twice the side that it is cut out of.
    with FeatureExtractor(tiny.NAME, checkpoint, image_size=231) as extractor:
        assert extractor.weights.preset.options['resize_side'] == 330


def real_folder(folder):
    """Image files as they come, by name: the pixels that count, or None for what is no image."""
    one, cmyk, grey, rotated, palette, alpha, bitmap, plain_image = (
        Image.fromarray(tiny.pixels(40, 50, seed)) for seed in range(8))
    deep = np.random.RandomState(0).randint(0, 1 << 16, (40, 50)).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees to show it
    contents = {
        'cmyk.jpg': tiny.encode(cmyk.convert('CMYK'), 'JPEG'), 'grey.jpeg': tiny.encode(grey.convert('L'), 'JPEG'),
        'deep.png': tiny.encode(Image.fromarray(deep)), 'exif.JPG': tiny.encode(rotated, 'JPEG', exif=exif),
        'one.png': tiny.encode(one.crop((0, 0, 1, 1))), 'palette.gif': tiny.encode(palette.convert('P'), 'GIF'),
        'alpha.png': tiny.encode(alpha.convert('RGBA')), 'bitmap.bmp': tiny.encode(bitmap, 'BMP'),
        'truncated.jpg': tiny.encode(one, 'JPEG')[:600], 'truncated.png': tiny.encode(one)[:400],
        'empty.jpg': b'', 'page.jpg': b'<html>404</html>', 'tiff.png': tiny.encode(one, 'TIFF'),
        'sub/plain.jpg': tiny.encode(plain_image, 'JPEG'), 'sub/notes.txt': b'none', '.hidden.png': tiny.encode(one),
    }
    for name, content in contents.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as file:
            file.write(content)
    os.mkdir(os.path.join(folder, 'folder.png'))
    expected = {name: np.asarray(Image.open(io.BytesIO(contents[name])).convert('RGB'))
                for name in contents if not name.startswith(('trunc', 'empty', 'page', 'tiff', 'sub/notes', '.'))}
    expected['deep.png'] = np.repeat((deep >> 8).astype(np.uint8)[..., np.newaxis], 3, axis=-1)
    return expected


CORRUPT = {'truncated.jpg': 'truncated JPEG', 'truncated.png': 'truncated PNG', 'empty.jpg': 'empty',
           'page.jpg': 'HTML', 'tiff.png': 'TIFF'}


def test_real_folder_gives_features_of_what_can_be_decoded_and_names_the_rest(checkpoint, tmp_path):
    expected = real_folder(str(tmp_path))
    source = images.find(str(tmp_path))
    found, corrupt = {}, {}
    with FeatureExtractor(tiny.NAME, checkpoint, [BLOCK1], batch_size=4) as extractor:
        for batch, rows in extractor.batches(source):
            sound = [name for place, name in enumerate(batch.names) if place not in batch.corrupt]
            found.update(zip(sound, rows[BLOCK1], strict=True))
            corrupt.update((batch.names[place], reason) for place, reason in batch.corrupt.items())
    assert list(found) == sorted(str(tmp_path / name) for name in expected)
    assert set(corrupt) == {str(tmp_path / name) for name in CORRUPT}
    for name, reason in CORRUPT.items():
        assert reason in corrupt[str(tmp_path / name)]
    names = sorted(expected)
    actual = np.stack([found[str(tmp_path / name)] for name in names])
    wanted = plain(checkpoint, prepare([expected[name] for name in names]), [BLOCK1])[BLOCK1]
    # Two decoders of JPEG differ by some steps of 255.
    limits = {name: 0.02 for name in names if name.lower().endswith(('jpg', 'jpeg'))}
    apart = np.sqrt(np.mean((actual[:, np.newaxis] - wanted) ** 2, (2, 3, 4)) / np.mean(wanted ** 2))
    for place, name in enumerate(names):
        assert apart[place, place] < limits.get(name, 1e-6), name
    assert (apart + np.eye(len(names))).min() > 0.1  # each image has features of its own


def test_stream_goes_on_after_corrupt_images_if_told_so(checkpoint, tmp_path):
    paths = tiny.write_images(tmp_path, 5)
    with open(paths[1], 'wb') as file:
        file.write(b'')
    paths.insert(3, str(tmp_path / 'gone.png'))
    with FeatureExtractor(tiny.NAME, checkpoint, batch_size=2) as extractor:
        skipped = []
        assert [name for name, _ in extractor.stream(paths, skipped)] == [paths[place] for place in (0, 2, 4, 5)]
        assert skipped == [paths[1], paths[3]]
        with pytest.raises(ValueError, match=r"'.*00001.png': it is empty.*skip_corrupt"):
            list(extractor.stream(paths))
        with pytest.raises(ValueError, match="gone.png': it cannot be read: No such file"):
            extractor(paths[3:4])


def test_records_of_slim_give_the_features_of_their_images(checkpoint, tmp_path):
    pixels = [tiny.pixels(40, 50, seed) for seed in range(5)]
    encoded = [tiny.encode(image) for image in pixels]
    encoded[2] = encoded[2][:50]
    examples = [records.make_example(content, 'png', 40, 50, 0, f'{number}.png')
                for number, content in enumerate(encoded)]
    records.write_records(examples, 5, str(tmp_path), 'my', 'train', num_shards=2)
    source = images.find(str(tmp_path / 'my_train_*'))
    assert len(source) == 5
    expected = plain(checkpoint, prepare(pixels), ['global_pool'])['global_pool']
    with FeatureExtractor(tiny.NAME, checkpoint, batch_size=2) as extractor:
        for start in (0, 1, 3):
            batches = list(extractor.batches(source, start))
            assert [name for batch, _ in batches for name in batch.names] == [f'{n}.png' for n in range(start, 5)]
            rows = np.concatenate([rows['global_pool'] for _, rows in batches])
            sound = [number for number in range(start, 5) if number != 2]
            np.testing.assert_allclose(rows, expected[sound], rtol=1e-5, atol=1e-5)
            reasons = [reason for batch, _ in batches for reason in batch.corrupt.values()]
            assert reasons == ['it is damaged or truncated PNG data of 50 bytes'] * (start <= 2)


def test_default_graph_and_session_stay_as_they_are(checkpoint, tmp_path):
    graph = tf.get_default_graph()
    with FeatureExtractor(tiny.NAME, checkpoint, batch_size=2) as extractor:
        for _ in extractor.stream(tiny.write_images(tmp_path, 4)):
            assert tf.get_default_graph() is graph
            assert tf.get_default_session() is None
    assert not graph.get_operations()


def test_checkpoint_without_logits_gives_features(tmp_path):
    checkpoint = tiny.write_checkpoint(tmp_path, num_classes=None)
    prepared = np.ones((1, tiny.SIZE, tiny.SIZE, 3), np.float32)
    with FeatureExtractor(tiny.NAME, checkpoint) as extractor:
        assert_equal(extractor(prepared), plain(checkpoint, prepared, ['global_pool'], num_classes=None))
    with pytest.raises(ValueError, match="no end point 'predictions'.*holds no logits"):
        FeatureExtractor(tiny.NAME, checkpoint, ['predictions'])


def test_closed_extractor_says_so(checkpoint):
    with FeatureExtractor(tiny.NAME, checkpoint) as extractor:
        pass
    with pytest.raises(ValueError, match='closed'):
        extractor(np.zeros((1, tiny.SIZE, tiny.SIZE, 3), np.float32))


def test_class_is_reachable_from_the_package():
    assert nets.FeatureExtractor is FeatureExtractor


@pytest.mark.parametrize(('arguments', 'message'), [
    ({'end_points': ['block2']}, rf"no end point 'block2'; did you mean '{BLOCK2}'\? there are .*global_pool"),
    ({'end_points': 'global_pool'}, "must be a list of one name at least; got 'global_pool'"),
    ({'end_points': []}, 'must be a list of one name'), ({'network': 'resnet_v3'}, "Unknown network 'resnet_v3'"),
    ({'network': None}, 'network must be given'), ({'preprocessing': 'lenet'}, "must be one of vgg.*'lenet'"),
    ({'image_size': 0}, 'whole number of pixels from 1; got 0'), ({'dtype': 'int8'}, "float32, float16; got 'int8'"),
    ({'engine': 'torch'}, "tensorflow, onnxruntime; got 'torch'"),
    ({'batch_size': 0}, 'batch_size must be a whole number from 1; got 0'),
    ({'network': 'resnet_v1_14'}, 'does not fit'), ({'num_classes': 7}, 'does not fit'),
    ({'checkpoint': '/nowhere/model.ckpt'}, 'no checkpoint at /nowhere/model.ckpt')])
def test_what_cannot_be_is_named(checkpoint, arguments, message):
    with pytest.raises(ValueError, match=f'(?s){message}'):
        FeatureExtractor(**dict({'network': tiny.NAME, 'checkpoint': checkpoint}, **arguments))


@pytest.mark.parametrize(('given', 'message'), [
    (np.zeros((2, 31, 32, 3)), r'\[batch, 32, 32, 3\]; got \[2, 31, 32, 3\]'), ('cat.jpg', "got 'cat.jpg'"),
    (np.zeros((40, 50, 3), np.uint8), r'an array of shape \[40, 50, 3\]'), ([np.zeros((4, 4, 3))], 'float64 of shape'),
    ([np.zeros((4, 4, 1), np.uint8)], r'uint8 of shape \[4, 4, 1\]'), ([3], 'one that is 3'), (7, 'got 7')])
def test_images_that_are_none_are_refused(checkpoint, given, message):
    with FeatureExtractor(tiny.NAME, checkpoint) as extractor, pytest.raises(ValueError, match=message):
        extractor(given)


@pytest.mark.parametrize(('spec', 'message'), [
    ('nothing', 'is no folder, no file and no pattern'), ('*.gif', 'is no folder'),
    ('empty', r'holds no images .* and 1 other files'), ('list.txt', 'it is empty'),
    ('mixed/*', 'both 1 TFRecord files and 1 others'), ('mixed/x.tfrecord', 'truncated or no TFRecord file')])
def test_images_that_are_not_there_are_named(tmp_path, spec, message):
    for name, content in {'list.txt': '\n', 'empty/notes': 'x', 'mixed/x.tfrecord': 'x', 'mixed/y.png': 'x'}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        images.find(str(tmp_path / spec))


def test_images_are_found_in_order(tmp_path, monkeypatch):
    paths = tiny.write_images(tmp_path / 'b', 3) + tiny.write_images(tmp_path / 'b' / 'c', 1)
    (tmp_path / 'b' / 'loop').symlink_to(tmp_path / 'b')
    (tmp_path / 'd').symlink_to(tmp_path / 'b')
    (tmp_path / 'list.txt').write_text('b/00002.png\n\nb/00000.png\nb/00002.png\n')
    monkeypatch.chdir(tmp_path)

    def names(spec):
        return [name for batch in images.batches(images.find(spec), lambda image: tf.zeros([2, 2, 3]), 2, 2)
                for name in batch.names]

    assert names(str(tmp_path / 'b')) == paths
    assert names('d') == [path.replace(str(tmp_path / 'b'), 'd') for path in paths]
    assert names('b/*.png') == [f'b/0000{number}.png' for number in range(3)]
    assert names('list.txt') == ['b/00002.png', 'b/00000.png', 'b/00002.png']
    assert names(paths[1]) == [paths[1]]
