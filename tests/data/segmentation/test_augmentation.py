import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.data import preprocessing
from nets.data.segmentation import augmentation

HEIGHT, WIDTH = 24, 33
IGNORED = 100000
# RGB 0-255: the mean pixel, what is divided by afterwards, whether red is last.
PRESETS = {'vgg': ((123.68, 116.779, 103.939), (1, 1, 1), False),
           'caffe': ((123.68, 116.779, 103.939), (1, 1, 1), True),
           'inception': ((127.5,) * 3, (127.5,) * 3, False),
           'torchvision': ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), False)}


def positions(length, new_length):
    """Where the pixels of a resized image lie in the original, corners on corners."""
    return np.arange(new_length) * ((length - 1) / (new_length - 1) if new_length > 1 else 0)


def bilinear(image, height, width):
    image = image.astype(np.float64)
    for axis, size in enumerate((height, width)):
        where = positions(image.shape[axis], size)
        low = np.floor(where).astype(int)
        high = np.minimum(low + 1, image.shape[axis] - 1)
        part = (where - low).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        image = np.take(image, low, axis) * (1 - part) + np.take(image, high, axis) * part
    return image


def nearest(label, height, width):
    """The nearest row and column, of two the later one; as float32 has it, where two are equally near."""
    rows, columns = (np.floor(positions(*pair).astype(np.float32) + np.float32(0.5)).astype(int)
                     for pair in zip(label.shape, (height, width), strict=True))
    return label[rows][:, columns]


def standardise(image, name):
    means, deviations, is_bgr = PRESETS[name]
    image = (image - np.array(means)) / np.array(deviations)
    return image[..., ::-1] if is_bgr else image


def fill(image, label, height, width):
    """The mean pixel, which is 0 by then, and the ignore label at the bottom and the right."""
    bottom, right = max(height - len(label), 0), max(width - label.shape[1], 0)
    return (np.pad(image, [(0, bottom), (0, right), (0, 0)]),
            np.pad(label, [(0, bottom), (0, right)], constant_values=IGNORED))


@pytest.fixture(scope='module')
def example():
    """A random image, and labels that tell where each pixel is from."""
    rng = np.random.RandomState(0)
    return rng.randint(0, 256, [HEIGHT, WIDTH, 3]).astype(np.uint8), np.arange(HEIGHT * WIDTH).reshape(
        HEIGHT, WIDTH).astype(np.int32)


def run(preprocess, example, height, width, seeds):
    """The results for some seeds, a list."""
    seed = tf.placeholder(tf.int64, [2])
    image, label = (tf.placeholder(value.dtype, [None] * value.ndim) for value in example)
    result = preprocess(tf.ensure_shape(image, [None, None, 3]), label, height, width, IGNORED, seed)
    with tf.Session() as session:
        return [session.run(result, {seed: [number, 1], image: example[0], label: example[1]}) for number in seeds]


@pytest.mark.parametrize(('scale', 'size', 'name'), [
    (0.5, (16, 16), 'vgg'), (0.75, (18, 40), 'inception'), (1.0, (24, 33), 'torchvision'), (1.0, (40, 20), 'caffe'),
    (1.25, (20, 21), 'torchvision'), (2.0, (33, 65), 'vgg'), (1.7, (50, 30), 'inception')])
def test_result_is_a_part_of_the_scaled_image_filled_and_mirrored(scale, size, name, example):
    preprocess = augmentation.get_preprocessing(name, True, scale_range=(scale, scale))
    results = run(preprocess, example, *size, range(16))
    scaled_size = [int(length * np.float32(scale)) for length in (HEIGHT, WIDTH)]
    image, label = fill(standardise(bilinear(example[0], *scaled_size), name), nearest(example[1], *scaled_size), *size)
    starts = [(top, left, mirrored) for top in range(label.shape[0] - size[0] + 1)
              for left in range(label.shape[1] - size[1] + 1) for mirrored in (False, True)]
    seen = set()
    for got_image, got_label in results:
        found = [start for start in starts if np.array_equal(got_label, cut(label, start, size))]
        assert len(found) >= 1
        seen.add(found[0])
        # A thousandth of a level: places between pixels are rounded to float32.
        np.testing.assert_allclose(got_image, cut(image, found[0], size), atol=1e-3 / min(PRESETS[name][1]))
        assert got_label.dtype == np.int32
    assert len(seen) >= min(len(starts), 6)


def cut(array, start, size):
    top, left, mirrored = start
    part = array[top:top + size[0], left:left + size[1]]
    return part[:, ::-1] if mirrored else part


def scales_of(results):
    """The scales of results that hold the whole image; by the number of labels that are not filled in."""
    return [(label[:, 0] != IGNORED).sum() / HEIGHT if (label[0, 0] != IGNORED) else
            (label[:, -1] != IGNORED).sum() / HEIGHT for _, label in results]


def test_scales_are_chosen_evenly_among_the_steps(example):
    results = run(augmentation.get_preprocessing('vgg', True), example, 2 * HEIGHT, 2 * WIDTH, range(350))
    scales, counts = np.unique(scales_of(results), return_counts=True)
    np.testing.assert_array_equal(scales, [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2])
    assert counts.min() > 25
    assert 0.4 < np.mean([label[0, 0] != 0 for _, label in results]) < 0.6


@pytest.mark.parametrize(('scale_range', 'step', 'allowed'), [
    ((0.5, 1.0), 0.5, {0.5, 1.0}), ((0.75, 0.75), 0.25, {0.75}), ((0.5, 1.0), 0.3, {0.5, 1.0}),
    ((0.5, 1.0), 0, {size / HEIGHT for size in range(12, 24)})])
def test_other_ranges_and_steps_of_scales(scale_range, step, allowed, example):
    preprocess = augmentation.get_preprocessing('vgg', True, scale_range, step, flip=False)
    results = run(preprocess, example, HEIGHT, WIDTH, range(60))
    scales = set(scales_of(results))
    assert scales <= allowed
    assert len(scales) >= min(len(allowed), 6)
    assert all(label[0, 0] == 0 for _, label in results)


def test_tiny_images_keep_a_pixel():
    example = np.full([1, 1, 3], 7, np.uint8), np.zeros([1, 1], np.int32)
    (image, label), = run(augmentation.get_preprocessing('vgg', True, (0.5, 0.5), flip=False), example, 2, 2, [0])
    np.testing.assert_array_equal(label, [[0, IGNORED], [IGNORED, IGNORED]])
    np.testing.assert_allclose(image[0, 0], 7 - np.array(PRESETS['vgg'][0]), atol=1e-5)
    assert not image[label == IGNORED].any()


@pytest.mark.parametrize('name', PRESETS)
@pytest.mark.parametrize('size', [(None, None), (24, 33), (40, 35)])
def test_evaluation_fills_and_changes_nothing_else(size, name, example):
    (image, label), = run(augmentation.get_preprocessing(name, False), example, *size, [0])
    expected = fill(standardise(example[0].astype(float), name), example[1], *(length or 0 for length in size))
    np.testing.assert_array_equal(label, expected[1])
    np.testing.assert_allclose(image, expected[0], atol=1e-5)
    assert not image[label == IGNORED].any()


def test_means_of_a_checkpoint_are_used_and_fill(example):
    preprocess = augmentation.get_preprocessing('vgg', False, means=(1, 2, 3), deviations=(2, 4, 8),
                                                channel_order='BGR')
    (image, _), = run(preprocess, example, 30, 40, [0])
    expected = ((example[0] - np.array([1, 2, 3])) / np.array([2, 4, 8]))[..., ::-1]
    np.testing.assert_allclose(image[:HEIGHT, :WIDTH], expected, atol=1e-5)
    assert not image[HEIGHT:].any()


@pytest.mark.parametrize('name', PRESETS)
def test_pixels_are_standardised_as_for_classification(name, example):
    pixels = tf.constant(example[0])
    options = {'central_fraction': 1.0} if name == 'inception' else {'resize_side': HEIGHT}
    square = pixels[:, :HEIGHT]
    with tf.Session() as session:
        ours, theirs = session.run([
            preprocessing.get_standardisation(name)(square),
            preprocessing.get_preprocessing(name, False)(square, HEIGHT, HEIGHT, **options)])
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(('arguments', 'words'), [
    ({'name': 'cifar'}, "must be one of vgg, caffe, inception, torchvision; got 'cifar'"),
    ({'scale_range': (2, 0.5)}, 'the smaller one first.*got 2, 0.5 and 0.25'), ({'scale_range': (0, 1)}, 'got 0, 1'),
    ({'scale_step': -1}, 'scale_step at least 0; got 0.5, 2 and -1')])
def test_bad_options_are_explained(arguments, words):
    with pytest.raises(ValueError, match=words):
        augmentation.get_preprocessing(**{'name': 'vgg', 'is_training': True, **arguments})
