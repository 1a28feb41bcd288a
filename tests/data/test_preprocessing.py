import itertools

import numpy as np
import PIL.Image
import pytest
import tensorflow.compat.v1 as tf

from nets.data import images, preprocessing

pytestmark = pytest.mark.usefixtures('optimised')  # see conftest.py

PRESETS = sorted(preprocessing.PREPROCESSING)
MEANS = np.array([123.68, 116.779, 103.939], np.float32)


def run(name, is_training, pixels, height, width, **options):
    """One result, of an image whose static size is unknown."""
    fn = preprocessing.get_preprocessing(name, is_training)
    image = tf.placeholder(tf.uint8, [None, None, 3])
    with tf.Session() as session:
        return session.run(fn(image, height, width, **options), {image: pixels})


def run_many(name, pixels, height, width, count, **options):
    """Results of the training function for `count` seeds."""
    fn = preprocessing.get_preprocessing(name, True)
    seed = tf.placeholder(tf.int64, [2])
    result = fn(tf.constant(pixels), height, width, seed=seed, **options)
    with tf.Session() as session:
        return [session.run(result, {seed: [index, 7]}) for index in range(count)]


def bilinear(pixels, height, width):
    """Bilinear resizing without half-pixel centres, as TensorFlow 1 has it, in NumPy."""
    def weights(size, new_size):
        position = np.arange(new_size) * (size / new_size)
        low = np.minimum(np.floor(position).astype(int), size - 1)
        matrix = np.zeros([new_size, size])
        np.add.at(matrix, (np.arange(new_size), low), 1 - (position - low))
        np.add.at(matrix, (np.arange(new_size), np.minimum(low + 1, size - 1)), position - low)
        return matrix

    return np.einsum('yh,xw,hwc->yxc', weights(pixels.shape[0], height), weights(pixels.shape[1], width),
                     pixels.astype(np.float64), optimize=True)


def centre(pixels, height, width):
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top:top + height, left:left + width]


def standardise(pixels):
    pixels = np.asarray(pixels, np.float64)
    return (pixels - pixels.mean()) / max(pixels.std(), pixels.size ** -0.5)


def windows(pixels, height, width):
    """All crops of an image, by top and left."""
    return {(top, left): pixels[top:top + height, left:left + width]
            for top, left in itertools.product(range(pixels.shape[0] - height + 1),
                                               range(pixels.shape[1] - width + 1))}


def ramp(height, width):
    """An image whose red is its column and whose green is its row."""
    pixels = np.zeros([height, width, 3], np.uint8)
    pixels[..., 0] = np.arange(width)
    pixels[..., 1] = np.arange(height)[:, None]
    return pixels


@pytest.mark.parametrize('index', range(3))
def test_evaluation_equals_tensorflow_1(index, goldens, photo_file):
    case = goldens.load_cases('preprocessing')[index]
    fn = preprocessing.get_preprocessing(case['function'].removesuffix('_eval'), False)
    image = images.decode(tf.constant(photo_file(case['photo'])))
    with tf.Session() as session:
        output = session.run(fn(image, case['height'], case['width'], **case['kwargs']))
    assert goldens.compare('output', output, case['output'])['scaled'] < 1e-6
    means = output.mean((0, 1), dtype=np.float64)
    np.testing.assert_allclose(means, case['channel_means'], rtol=0, atol=1e-6 * np.abs(output).max())


def test_defaults_are_those_of_the_golden_cases(photo):
    pixels = photo(100, 90)
    np.testing.assert_array_equal(run('vgg', False, pixels, 224, 224),
                                  run('vgg', False, pixels, 224, 224, resize_side=256))
    np.testing.assert_array_equal(run('inception', False, pixels, 33, 32),
                                  run('inception', False, pixels, 33, 32, central_fraction=0.875))


@pytest.mark.parametrize('size', [(60, 80), (81, 47), (31, 31), (20, 300)])
@pytest.mark.parametrize(('height', 'width', 'side'), [(32, 32, 40), (27, 40, 41), (40, 17, 40)])
def test_vgg_evaluation_equals_numpy(size, height, width, side, photo):
    pixels = photo(*size)
    new_size = [round(length * side / min(size)) for length in size]
    expected = centre(bilinear(pixels, *new_size), height, width) - MEANS
    result = run('vgg', False, pixels, height, width, resize_side=side)
    np.testing.assert_allclose(result, expected, atol=0.01)


@pytest.mark.parametrize('size', [(64, 48), (33, 50)])
@pytest.mark.parametrize('fraction', [0.875, 0.6, 1.0])
def test_inception_evaluation_equals_numpy(size, fraction, photo):
    pixels = photo(*size)
    starts = [int((length - length * fraction) / 2) for length in size]
    cropped = pixels[starts[0]:size[0] - starts[0], starts[1]:size[1] - starts[1]]
    expected = bilinear(cropped, 24, 31) / 127.5 - 1
    np.testing.assert_allclose(run('inception', False, pixels, 24, 31, central_fraction=fraction), expected,
                               atol=1e-4)


@pytest.mark.parametrize('is_training', [True, False])
def test_caffe_is_vgg_with_the_channels_reversed(is_training, photo):
    pixels = photo(60, 80)
    results = [run(name, is_training, pixels, 32, 33, seed=[1, 2]) for name in ('vgg', 'caffe')]
    np.testing.assert_array_equal(results[0], results[1][..., ::-1])


def torchvision(image):
    return (np.asarray(image, np.float64) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]


@pytest.mark.parametrize('size', [(300, 401), (64, 48), (47, 80), (20, 300)])
@pytest.mark.parametrize(('height', 'width', 'side'), [(32, 32, 40), (27, 40, 41), (40, 17, 43)])
def test_torchvision_evaluation_equals_pillow(size, height, width, side, photo):
    """Pixels that are half-way between two levels may differ by one: Pillow computes in fixed point.

    Small ratios of sizes, as here, make many of those; of a photo resized from 640 x 427 to 383 x 256 it is one in 400.
    """
    pixels = photo(*size)
    new_size = [length * side // min(size) for length in size]
    resized = PIL.Image.fromarray(pixels).resize(new_size[::-1], PIL.Image.Resampling.BILINEAR)
    top, left = round((new_size[0] - height) / 2), round((new_size[1] - width) / 2)
    expected = torchvision(resized)[top:top + height, left:left + width]
    levels = np.abs(run('torchvision', False, pixels, height, width, resize_side=side) - expected) * 255 * [
        0.229, 0.224, 0.225]
    assert levels.max() < 1.01
    assert (levels > 0.01).mean() < 0.03


def test_torchvision_training_boxes_keep_area_and_shape():
    """Of an image that tells rows and columns, what is left shows the box."""
    results = run_many('torchvision', ramp(200, 200), 32, 32, 60)
    levels = [np.round((result * [0.229, 0.224, 0.225] + [0.485, 0.456, 0.406]) * 255) for result in results]
    widths = np.array([np.ptp(level[..., 0]) + 1 for level in levels]) * 32 / 31
    heights = np.array([np.ptp(level[..., 1]) + 1 for level in levels]) * 32 / 31
    areas = widths * heights / 200 ** 2
    assert 0.06 < areas.min() < 0.3
    assert 0.7 < areas.max() < 1.1
    assert (np.abs(np.log(widths / heights)) < np.log(4 / 3) + 0.1).all()
    flipped = [level[0, 0, 0] > level[0, -1, 0] for level in levels]
    assert 15 < sum(flipped) < 45


def test_inception_evaluation_crops_as_tensorflow_1_where_tensorflow_2_does_not():
    # Of 640 columns 0.6 leaves 384 from column 128 on; in float32 it would be 386 from 127 on.
    pixels = np.zeros([20, 640, 3], np.uint8)
    pixels[:, :128] = 255
    assert run('inception', False, pixels, 12, 384, central_fraction=0.6).max() == -1


@pytest.mark.parametrize('name', ['cifar', 'digits'])
@pytest.mark.parametrize(('size', 'new_size'), [
    ((32, 32), (32, 32)), ((8, 8), (32, 32)), ((40, 60), (32, 48)), ((24, 16), (48, 32)),
    ((33, 32), (33, 32)), ((33, 50), (32, 48)),
])
def test_small_evaluation_equals_numpy(name, size, new_size, photo):
    pixels = photo(*size)
    expected = standardise(centre(bilinear(pixels, *new_size), 32, 32))
    np.testing.assert_allclose(run(name, False, pixels, 32, 32), expected, atol=1e-4)


@pytest.mark.parametrize('name', ['cifar', 'digits'])
def test_blank_image_stays_finite(name):
    for is_training in (True, False):
        assert not run(name, is_training, np.zeros([8, 8, 3], np.uint8), 8, 8).any()


@pytest.mark.parametrize(('name', 'options', 'flips'), [
    ('cifar', {}, True), ('cifar', {'flip': False}, False), ('digits', {}, False)])
def test_small_training_takes_every_window_of_the_padded_image(name, options, flips, photo):
    pixels = photo(9, 10)
    padded = np.pad(pixels, [[2, 2], [2, 2], [0, 0]])
    sources = {(place, False): crop for place, crop in windows(padded, 9, 10).items()}
    if flips:
        sources.update({(place, True): crop[:, ::-1] for (place, _), crop in list(sources.items())})
    keys, expected = list(sources), np.stack([standardise(crop) for crop in sources.values()])
    found = []
    for result in run_many(name, pixels, 9, 10, 400, padding=2, **options):
        difference = np.abs(expected - result).max((1, 2, 3))
        assert difference.min() < 1e-4
        found.append(keys[difference.argmin()])
    assert set(found) == set(keys)
    assert abs(np.mean([flipped for _, flipped in found]) - 0.5 * flips) < 0.1


def test_small_training_enlarges_before_it_pads(photo):
    pixels = photo(8, 8)
    result = run('digits', True, pixels, 32, 32, padding=0)
    np.testing.assert_allclose(result, standardise(bilinear(pixels, 32, 32)), atol=1e-4)


def test_vgg_training_takes_windows_of_the_resized_image(photo):
    pixels = photo(20, 16)
    resized = bilinear(pixels, 15, 12)
    expected = np.stack([crop for window in windows(resized, 11, 10).values()
                         for crop in (window, window[:, ::-1])])
    seen = set()
    for result in run_many('vgg', pixels, 11, 10, 200, resize_side_min=12, resize_side_max=12):
        difference = np.abs(expected - MEANS - result).max((1, 2, 3))
        assert difference.min() < 0.01
        seen.add(int(difference.argmin()))
    assert len(seen) == len(expected)


def test_vgg_training_draws_every_short_side_alike():
    # The red of a ramp rises by WIDTH / SIDE from column to column.
    results = run_many('vgg', ramp(200, 250), 224, 224, 300)
    sides = np.array([200 / abs(result[0, 100, 0] - result[0, 0, 0]) * 100 for result in results])
    assert 255.5 < sides.min() < 265
    assert 503 < sides.max() < 512.5
    assert np.abs(np.quantile(sides, [0.25, 0.5, 0.75]) - [320, 384, 448]).max() < 25


def test_vgg_training_reaches_both_ends_of_its_range():
    results = run_many('vgg', ramp(60, 60), 40, 40, 60, resize_side_min=58, resize_side_max=60)
    sides = {int(np.rint(60 / abs(result[0, 30, 0] - result[0, 0, 0]) * 30)) for result in results}
    assert sides == {58, 59, 60}


def test_vgg_sides_grow_with_larger_crops(photo):
    pixels = photo(30, 40)
    np.testing.assert_array_equal(run('vgg', False, pixels, 299, 299),
                                  run('vgg', False, pixels, 299, 299, resize_side=342))
    assert run('vgg', True, pixels, 299, 331, seed=[1, 2]).shape == (299, 331, 3)


def box_of(result, size):
    """Height and width of the box that an image made of `ramp` shows, as parts of the image."""
    values = (result + 1) * 127.5
    width = (values[:, 32:, 0].mean() - values[:, :32, 0].mean()) * 2
    height = (values[32:, :, 1].mean() - values[:32, :, 1].mean()) * 2
    return height / size, width / size


def test_inception_training_boxes_keep_area_and_shape():
    results = run_many('inception', ramp(250, 250), 64, 64, 300, colour=False)
    boxes = np.abs([box_of(result, 250) for result in results])
    areas, ratios = boxes[:, 0] * boxes[:, 1], boxes[:, 1] / boxes[:, 0]
    # Areas below 0.1 are not there: the box covers at least a tenth of the image.
    assert 0.08 < areas.min() < 0.15
    assert 0.9 < areas.max() < 1.05
    assert 0.7 < ratios.min() < 0.8
    assert 1.25 < ratios.max() < 1.4


@pytest.mark.parametrize(('options', 'share'), [({}, 0.5), ({'flip': False}, 0)])
def test_inception_training_flips_half_of_the_images(options, share):
    results = run_many('inception', ramp(100, 100), 64, 64, 200, colour=False, **options)
    flipped = np.mean([result[:, 0, 0].mean() > result[:, -1, 0].mean() for result in results])
    assert abs(flipped - share) < 0.1
    assert all(result[0, :, 1].mean() < result[-1, :, 1].mean() for result in results)


def test_inception_training_area_can_be_chosen():
    results = run_many('inception', ramp(250, 250), 64, 64, 30, colour=False, area_range=(0.5, 0.6))
    areas = [np.prod(np.abs(box_of(result, 250))) for result in results]
    assert 0.45 < min(areas) <= max(areas) < 0.65


def test_inception_training_changes_colours_within_range(photo):
    pixels = photo(40, 40)
    plain, changed = (run_many('inception', pixels, 32, 32, 60, colour=colour) for colour in (False, True))
    changes = np.array([np.abs(one - other).mean() for one, other in zip(plain, changed, strict=True)])
    assert changes.min() > 0.01
    assert np.median(changes) > 0.1
    assert all(result.min() >= -1 and result.max() <= 1 for result in plain + changed)


def test_inception_training_keeps_grey_images_grey(photo):
    grey = np.repeat(photo(40, 40)[..., :1], 3, axis=-1)
    for result in run_many('inception', grey, 32, 32, 40):
        assert np.ptp(result, axis=-1).max() < 1e-4


@pytest.mark.parametrize('name', PRESETS)
@pytest.mark.parametrize('is_training', [True, False])
@pytest.mark.parametrize('static', [True, False])
def test_result_is_float32_of_known_shape(name, is_training, static, photo):
    pixels = photo(30, 41)
    image = tf.constant(pixels) if static else tf.placeholder_with_default(pixels, [None, None, 3])
    result = preprocessing.get_preprocessing(name, is_training)(image, 32, 48)
    assert (result.dtype, result.shape.as_list()) == (tf.float32, [32, 48, 3])
    with tf.Session() as session:
        assert session.run(result).shape == (32, 48, 3)


@pytest.mark.parametrize('name', PRESETS)
def test_training_depends_on_the_seed_alone(name, photo):
    pixels = photo(30, 41)
    first = run(name, True, pixels, 32, 32, seed=[3, 4])
    np.testing.assert_array_equal(run(name, True, pixels, 32, 32, seed=tf.constant([3, 4])), first)
    assert any(np.abs(run(name, True, pixels, 32, 32, seed=[3, other]) - first).max() > 0.01
               for other in (5, 6))


@pytest.mark.parametrize('name', PRESETS)
def test_without_a_seed_the_graph_decides(name, photo):
    def results(graph_seed):
        with tf.Graph().as_default():
            tf.set_random_seed(graph_seed)
            result = preprocessing.get_preprocessing(name, True)(tf.constant(photo(30, 41)), 32, 32)
            with tf.Session() as session:
                return [session.run(result) for _ in range(3)]

    first = results(1)
    np.testing.assert_array_equal(results(1), first)
    assert np.abs(np.subtract(results(2), first)).max() > 0.01
    assert np.abs(first[0] - first[1]).max() + np.abs(first[0] - first[2]).max() > 0.01


@pytest.mark.parametrize(('name', 'is_training', 'options', 'words'), [
    ('vgg', False, {'resize_side': 31}, 'resize_side must be at least the crop of 32x30; got 31'),
    ('vgg', True, {'resize_side_min': 31}, 'at least the crop of 32x30 .* got 31 and 62'),
    ('vgg', True, {'resize_side_min': 40, 'resize_side_max': 39}, 'at most resize_side_max; got 40 and 39'),
    ('torchvision', False, {'resize_side': 31}, 'resize_side must be at least the crop of 32x30; got 31'),
    ('inception', False, {'central_fraction': 0}, 'more than 0 and at most 1; got 0'),
    ('inception', False, {'central_fraction': 1.1}, 'more than 0 and at most 1; got 1.1'),
])
def test_bad_options_are_explained(name, is_training, options, words):
    with pytest.raises(ValueError, match=words):
        preprocessing.get_preprocessing(name, is_training)(tf.zeros([40, 40, 3], tf.uint8), 32, 30, **options)


def test_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match="of vgg, caffe, inception, torchvision, cifar, digits; got 'vgg16'"):
        preprocessing.get_preprocessing('vgg16', True)
