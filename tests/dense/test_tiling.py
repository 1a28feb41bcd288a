"""Tiles against the whole image: the same numbers, for every size and every kind of network."""

import os
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from golden import fill_variables
from PIL import Image
from test_receptive_field import NARROW, short

from nets.dense import graph_field, model, receptive_field, tiling


class Network:
    """A network that runs on images of any size and notes their shapes."""

    def __init__(self, name, end_point=None, classes=None, head=None, **kwargs):
        network = short(name)
        self.graph, self.shapes = tf.Graph(), []
        with self.graph.as_default():
            self.images = tf.placeholder(tf.float32, [1, None, None, 3])
            with slim.arg_scope(network.arg_scope()):
                net, end_points = network(self.images, num_classes=classes, is_training=False, global_pool=False,
                                          spatial_squeeze=False, **kwargs)
            self.net = end_points[end_point] if end_point else net
            self.session = tf.Session()
            fill_variables(self.session)
        self.field = receptive_field.of_network(network, end_point, **kwargs)

    def __call__(self, images):
        self.shapes.append(images.shape)
        return self.session.run(self.net, {self.images: images})


def photograph(height, width):
    return np.random.RandomState(3).uniform(-1, 1, [height, width, 3]).astype(np.float32)


CASES = [
    ('resnet_v1_50', None, {}, 32),
    ('resnet_v1_50', None, {'output_stride': 8}, 8),
    ('resnet_v2_50', None, {'output_stride': 16}, 16),
    ('resnet_v15_50', None, {'output_stride': 16}, 16),
    ('resnet_v1_18', None, {'output_stride': 8}, 8),
    ('resnet_v1_50_beta', None, {'output_stride': 16, 'multi_grid': [2]}, 16),
    ('resnet_nvidia_50', None, {}, 32),
    ('resnet_cifar_20', None, {}, 4),
    ('resnet_v1_50', 'net/block1', {}, 8),
]


@pytest.mark.parametrize(('name', 'end_point', 'kwargs', 'stride'), CASES)
def test_tiles_give_the_whole_image(name, end_point, kwargs, stride):
    network = Network(name, end_point, **kwargs)
    reach = network.field.reach()
    tile = reach.size + 2 * stride + 7
    assert reach.stride == stride
    for height, width in [(2 * tile, tile + 1), (tile - 30, 2 * tile + 3 * stride + 5)]:
        image = photograph(height, width)
        whole = network(image[np.newaxis])[0]
        network.shapes.clear()
        tiled = tiling.Tiler(network, network.field, tile).run(image)
        assert len(network.shapes) > 1
        assert len(set(network.shapes)) == 1
        assert max(network.shapes[0][1:3]) <= tile
        assert tiled.shape == whole.shape
        np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-5 * np.abs(whole).max())


@pytest.fixture(scope='module')
def logits():
    """Three classes of a small network: its stride is 4."""
    return Network('resnet_cifar_20', classes=3)


@pytest.fixture(scope='module')
def image():
    return photograph(150, 171)


@pytest.fixture(scope='module')
def whole(logits, image):
    return logits(image[np.newaxis])[0]


def test_less_overlap_is_exact_only_where_tiles_see_the_whole_field(logits, image, whole):
    limit = 1e-5 * np.abs(whole).max()
    radius = logits.field.reach().last
    cuts = [(40 + 2 * overlap, overlap) for overlap in (0, radius // 4, radius // 2, radius)]
    errors = [np.abs(tiling.Tiler(logits, logits.field, *cut).run(image) - whole) for cut in cuts]
    assert errors[0].mean() > errors[1].mean() > errors[2].mean() > 100 * limit
    assert errors[3].max() < limit
    for error, cut in zip(errors, cuts):
        seen = tuple(slice(0, (tiling.spans(size, logits.field, *cut)[0].stop - radius) // 4) for size in (150, 171))
        assert error[seen].size > 20
        assert error[seen].max() < limit


@pytest.mark.parametrize('output_stride', [None, 8])
@pytest.mark.parametrize('name', ['resnet_v1_50', 'resnet_nvidia_50', 'resnet_cifar_20'])
def test_spans_keep_every_row_once_and_all_that_it_depends_on(name, output_stride):
    field = receptive_field.of_network(short(name), output_stride=None if 'cifar' in name else output_stride)
    least = field.reach().size + field.alignment
    for size in [1, 2, field.alignment, least - 1, least, least + 1, 3 * least, 1000, 1001, 1015]:
        reach = field.reach(size)
        for tile_size in (least + 3 * field.alignment + 5, 2 * least + 1, 2000):
            for shared in (0, 1):
                found = tiling.spans(size, field, tile_size, shared=shared)
                assert len({span.stop - span.start for span in found}) == 1
                assert (found[0].start, found[-1].stop) == (0, size)
                assert (found[0].first, found[-1].last) == (0, field.map_size(size))
                assert len(found) == 1 or found[0].stop <= tile_size < size
                for span, following in zip(found, found[1:]):
                    assert following.start > span.start
                    assert span.last == following.first + shared
                for span in found:
                    assert span.start % field.alignment == 0
                    assert span.first * reach.stride + reach.first >= span.start or span.start == 0
                    assert (span.last - 1) * reach.stride + reach.last < span.stop or span.stop == size


@pytest.mark.parametrize('tile_size', [97, 130, 1000, (99, 180)])
def test_class_maps_are_those_of_the_resized_whole(logits, image, whole, tile_size):
    with tf.Graph().as_default(), tf.Session() as session:
        resized = session.run(tf.image.resize_bilinear(whole[np.newaxis], [150, 171], align_corners=True))[0]
    found = tiling.Tiler(logits, logits.field, tile_size).class_map(image)
    assert found.dtype == np.uint8
    assert found.shape == (150, 171)
    assert len(np.unique(found)) == 3
    best = np.take_along_axis(resized, found[:, :, np.newaxis].astype(int), 2)[:, :, 0]
    assert (resized.max(2) - best).max() < 1e-5 * np.abs(whole).max()  # the same but for ties
    assert (found == resized.argmax(2)).mean() > 0.999


def test_maps_and_images_may_be_files(logits, image, whole, tmp_path):
    pixels = np.uint8(image * 127 + 128)
    Image.fromarray(pixels).save(tmp_path / 'image.png')
    np.save(tmp_path / 'image.npy', pixels)
    types, calls = set(), []

    def preprocess(pixels):
        types.add((pixels.dtype, pixels.shape[2]))
        return np.float32(pixels) / 128 - 1

    tiler = tiling.Tiler(logits, logits.field, 120, preprocess=preprocess)
    expected = tiler.run(pixels)
    out = np.empty_like(expected)
    assert tiler.run(str(tmp_path / 'image.png'), out, progress=lambda *done: calls.append(done)) is out
    np.testing.assert_array_equal(out, expected)
    assert calls == [(i + 1, len(calls)) for i in range(len(calls))]
    assert len(calls) > 3
    path = tmp_path / 'map.npy'
    assert tiler.run(np.load(tmp_path / 'image.npy', mmap_mode='r'), path) == path
    np.testing.assert_array_equal(np.load(path), expected)
    tiler.class_map(tmp_path / 'image.npy', path)
    np.testing.assert_array_equal(np.load(path), tiler.class_map(pixels))
    assert types == {(np.dtype(np.uint8), 3)}
    np.testing.assert_allclose(tiler.mean(pixels), expected.mean((0, 1)), rtol=1e-5)
    for tile in tiler.tiles(pixels):
        np.testing.assert_array_equal(tile.values, expected[tile.rows, tile.columns])


def test_a_failure_leaves_the_old_file(logits, image, tmp_path):
    path = tmp_path / 'map.npy'
    path.write_text('old')
    runs = []

    def fails(batch):
        runs.append(1)
        if len(runs) == 3:
            raise RuntimeError('out of memory')
        return logits(batch)

    with pytest.raises(RuntimeError, match='out of memory'):
        tiling.Tiler(fails, logits.field, 100).run(image, path)
    assert path.read_text() == 'old'
    assert os.listdir(tmp_path) == ['map.npy']


class Segmentation:
    """A narrow network with a head, its field, and a function that runs it."""

    def __init__(self, head, **options):
        network_fn = model.get_network_fn('resnet_v1_14', head, 3, backbone_options=NARROW, **options)
        self.field = graph_field.of_function(lambda images: network_fn(images)[0])
        with tf.Graph().as_default() as graph:
            self.images = tf.placeholder(tf.float32, [1, None, None, 3])
            self.net, self.end_points = network_fn(self.images)
            self.session = tf.Session()
            fill_variables(self.session)
            self.means = [op.outputs[0] for op in graph.get_operations() if op.name.endswith('image_mean')]

    def run(self, batch, net=None, given=()):
        return self.session.run(self.net if net is None else net, {self.images: batch, **dict(given)})


def test_maps_of_several_strides_are_those_of_the_padded_image():
    network = Segmentation('deeplab_v3plus', image_pooling=False, atrous_rates=(1, 2), separable_conv=False)
    image = photograph(256, 333)
    padded = np.pad(image, [(0, 1), (0, 4), (0, 0)])
    whole = network.run(padded[np.newaxis])[0]
    tiler = tiling.Tiler(network.run, network.field, 290)
    assert [tiler.padded(size) for size in image.shape[:2]] == [257, 337]
    np.testing.assert_allclose(tiler.run(image), whole, rtol=0, atol=1e-5 * np.abs(whole).max())
    with network.session.graph.as_default():
        resized = tf.image.resize_bilinear(network.net, padded.shape[:2], align_corners=True)
    expected = network.run(padded[np.newaxis], resized)[0, :256, :333].argmax(2)
    found = tiler.class_map(image)
    assert found.shape == expected.shape
    assert (found == expected).mean() > 0.999


def test_image_pooling_takes_two_passes():
    network = Segmentation('deeplab_v3', atrous_rates=(1, 2), separable_conv=False)
    mean, = network.means
    image = photograph(290, 230)
    whole = network.run(image[np.newaxis])[0]
    with pytest.raises(ValueError, match=r'Feed what Tiler.mean gives.*approximate=True'):
        tiling.Tiler(network.run, network.field, 256)
    features = receptive_field.of_network('resnet_v1_14', output_stride=16)
    pooled = tiling.Tiler(lambda batch: network.run(batch, network.end_points['resnet_v1_14/block4']), features,
                          200).mean(image)
    two_passes = tiling.Tiler(lambda batch: network.run(batch, given=[(mean, pooled.reshape(1, 1, 1, -1))]),
                              network.field.local(), 256).run(image)
    np.testing.assert_allclose(two_passes, whole, rtol=0, atol=1e-5 * np.abs(whole).max())
    one_pass = tiling.Tiler(network.run, network.field, 256, approximate=True).run(image)
    assert one_pass.shape == whole.shape
    assert np.abs(one_pass - whole).max() > 1e-4 * np.abs(whole).max()


def test_a_tile_size_that_is_too_small_is_told_one_that_is_not(logits, image):
    for overlap in (None, 0, 10):
        with pytest.raises(ValueError, match='tile_size must be at least') as error:
            tiling.spans(171, logits.field, 1, overlap)
        least = int(re.search(r'at least (\d+)', str(error.value)).group(1))
        assert len(tiling.spans(171, logits.field, least, overlap)) > 1
        with pytest.raises(ValueError, match='tile_size must be at least'):
            tiling.spans(171, logits.field, least - 1, overlap)


@pytest.mark.parametrize('value', [-1, 2.5, True, '97'])
@pytest.mark.parametrize('name', ['tile_size', 'overlap'])
def test_sizes_must_be_whole_numbers(logits, image, name, value):
    with pytest.raises(ValueError, match=f'{name} must be a whole number of pixels, or None; got'):
        tiling.Tiler(logits, logits.field, **{name: value}).run(image)


def test_what_does_not_fit_is_an_error(logits, image, tmp_path):
    tiler = tiling.Tiler(logits, logits.field, 120)
    with pytest.raises(ValueError, match=r'out must be of the shape \[38, 43, 3\]; got \[38, 43, 4\]'):
        tiler.run(image, np.empty([38, 43, 4]))
    with pytest.raises(ValueError, match=r'name of a \.npy file.*map.png'):
        tiler.run(image, 'map.png')
    with pytest.raises(ValueError, match=r'run_fn must return \[1, 30, 30, depth\].*returned \[1, 119, '):
        tiling.Tiler(lambda batch: batch, logits.field, 120).run(photograph(239, 240)[:, :239])
    with pytest.raises(ValueError, match='a number or a pair'):
        tiling.Tiler(logits, logits.field, (1, 2, 3))
    for bad in (image[0], np.zeros([0, 5, 3]), 7):
        with pytest.raises(ValueError, match=r'must be an array \[height, width, channels\]'):
            tiler.run(bad)
    (tmp_path / 'text.jpg').write_text('no image')
    with pytest.raises(OSError, match='text.jpg cannot be decoded'):
        tiler.run(tmp_path / 'text.jpg')
    Image.fromarray(np.zeros([9, 9], np.uint16)).save(tmp_path / 'deep.png')
    with pytest.raises(ValueError, match='deep.png must have 8 bits'):
        tiler.run(tmp_path / 'deep.png')
    with pytest.raises(FileNotFoundError):
        tiler.run(tmp_path / 'none.png')
