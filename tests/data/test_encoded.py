"""Images that are decoded in part: the pixels are those of the whole image, whatever the file and the box."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from nets.data import images, pipeline, preprocessing

SUBSAMPLINGS = {'4:4:4': 0, '4:2:2': 1, '4:2:0': 2, '4:1:1': '4:1:1'}
JPEGS = {
    **{f'{name} {kind}': dict(options, subsampling=subsampling)
       for name, subsampling in SUBSAMPLINGS.items()
       for kind, options in {'baseline': {}, 'progressive': {'progressive': True}}.items()},
    'restart markers': {'subsampling': 2, 'restart_marker_blocks': 3},
    'low quality': {'subsampling': 2, 'quality': 10},
    'grey': {'mode': 'L'},
    'CMYK': {'mode': 'CMYK'},
}
# Odd and even sizes, some less than the 16 pixels of a block of colours.
SIZES = [(120, 97), (61, 128), (15, 33), (9, 7)]


def make_jpeg(encode, pixels, mode='RGB', quality=85, **options):
    return encode(Image.fromarray(pixels).convert(mode), 'JPEG', quality=quality, **options)


def make_pixels(photo, size, left):
    """A photo with noise on it, whose colours differ from pixel to pixel."""
    noise = np.random.RandomState(left).randint(-60, 60, (*size, 3))
    return np.clip(photo(*size, left) + noise, 0, 255).astype(np.uint8)


def random_boxes(size, count, seed):
    """Boxes, most of which begin and end within a block of the file, and those at the corners."""
    rng = np.random.RandomState(seed)
    for _ in range(count):
        shape = [rng.randint(1, length + 1) for length in size]
        start = [rng.choice([0, length - part, rng.randint(0, length - part + 1)])
                 for length, part in zip(size, shape, strict=True)]
        yield start + [0], shape + [3]


class Runner:
    """Runs an `Encoded` and a whole decode on bytes, in one graph."""

    def __init__(self):
        self._encoded = tf.placeholder(tf.string, [])
        self._start, self._size = tf.placeholder(tf.int32, [3]), tf.placeholder(tf.int32, [3])
        image = images.Encoded(self._encoded)
        self._shape, self._part = image.shape, image.crop(self._start, self._size)
        self._whole, self._decoded = image.whole(), images.decode(self._encoded)
        self._session = tf.Session()

    def whole(self, encoded):
        return self._session.run([self._whole, self._decoded, self._shape], {self._encoded: encoded})

    def part(self, encoded, start, size):
        return self._session.run(self._part, {self._encoded: encoded, self._start: start, self._size: size})


def check_parts(runner, encoded, count, seed=0):
    whole, decoded, shape = runner.whole(encoded)
    np.testing.assert_array_equal(whole, decoded)
    assert tuple(shape) == decoded.shape
    for start, size in random_boxes(decoded.shape[:2], count, seed):
        (top, left, _), (height, width, _) = start, size
        np.testing.assert_array_equal(runner.part(encoded, start, size),
                                      decoded[top:top + height, left:left + width], err_msg=f'{start} {size}')


@pytest.mark.parametrize('kind', JPEGS)
def test_part_of_a_jpeg_has_the_pixels_of_the_whole(kind, photo, encode):
    runner = Runner()
    for number, size in enumerate(SIZES):
        check_parts(runner, make_jpeg(encode, make_pixels(photo, size, number), **JPEGS[kind]), 40, number)


@pytest.mark.parametrize('name', ['china.jpg', 'flower.jpg'])
def test_part_of_a_real_photo_has_the_pixels_of_the_whole(name, photo_file):
    check_parts(Runner(), photo_file(name), 30)


def test_context_is_needed(photo, encode, monkeypatch):
    monkeypatch.setattr(images, '_CONTEXT', 0)
    with pytest.raises(AssertionError, match='Mismatched elements'):
        check_parts(Runner(), make_jpeg(encode, make_pixels(photo, (120, 97), 0), subsampling=2), 40)


@pytest.mark.parametrize('image_format', ['PNG', 'BMP', 'GIF'])
def test_part_of_another_kind_of_image(image_format, photo, encode):
    check_parts(Runner(), encode(photo(40, 31), image_format), 5)


def test_jpeg_with_something_after_its_end(photo, encode):
    check_parts(Runner(), make_jpeg(encode, photo(40, 31)) + b'a maker note', 5)


@pytest.mark.parametrize('kept', [0, 1, 2, 3, 100, -300, -2, -1])
def test_truncated_jpeg_is_an_error_though_the_part_is_there(kept, photo, encode):
    encoded = make_jpeg(encode, photo(120, 97))[:kept]
    runner = Runner()
    with pytest.raises(tf.errors.InvalidArgumentError):
        runner.part(encoded, [0, 0, 0], [1, 1, 3])


@pytest.mark.parametrize('name', preprocessing.PREPROCESSING)
def test_training_presets_take_what_is_not_decoded(name, photo, encode):
    encoded = tf.constant(make_jpeg(encode, make_pixels(photo, (120, 97), 0)))
    fn = preprocessing.get_preprocessing(name, True)
    seed = tf.placeholder(tf.int64, [2])
    results = [fn(image, 32, 33, seed=seed) for image in (images.Encoded(encoded), images.decode(encoded))]
    with tf.Session() as session:
        for number in range(8):
            lazy, eager = session.run(results, {seed: [number, 1]})
            np.testing.assert_array_equal(lazy, eager)


@pytest.mark.parametrize('name', ['inception', 'torchvision', 'vgg'])
def test_presets_that_crop_do_not_decode_all_of_a_jpeg(name, photo, encode):
    """Damage far below a box would be an error if the image was decoded as a whole."""
    encoded = make_jpeg(encode, photo(400, 40), quality=95)
    damaged = encoded[:-200] + b'\xff\xc1' * 99 + encoded[-2:]
    with tf.Session() as session:
        with pytest.raises(tf.errors.InvalidArgumentError):
            session.run(images.decode(tf.constant(damaged)))
        fn = preprocessing.get_preprocessing(name, True)
        seed = tf.placeholder(tf.int64, [2])
        options = {} if name == 'vgg' else {'area_range': (0.1, 0.12)}
        lazy = fn(images.Encoded(tf.constant(damaged)), 8, 8, seed=seed, **options)
        eager = fn(images.decode(tf.constant(encoded)), 8, 8, seed=seed, **options)
        equal = 0
        for number in range(1, 21):  # with 0, the window of `vgg` is where the damage is
            try:
                part = session.run(lazy, {seed: [number, 1]})
            except tf.errors.InvalidArgumentError:
                continue
            np.testing.assert_array_equal(part, session.run(eager, {seed: [number, 1]}))
            equal += 1
        assert equal > 10


@pytest.mark.parametrize('name', ['inception', 'torchvision', 'vgg'])
def test_training_batches_have_the_pixels_of_whole_images(name, folder_of, collect, make_batches, monkeypatch):
    dataset, _ = folder_of(5)
    partly = collect(make_batches(dataset, True, 3, name, share=pipeline.Share(7)), 3)
    monkeypatch.setattr(images, '_JPEG_END', b'none')
    whole = collect(make_batches(dataset, True, 3, name, share=pipeline.Share(7)), 3)
    for left, right in zip(partly, whole, strict=True):
        assert left['name'].tolist() == right['name'].tolist()
        np.testing.assert_array_equal(left['image'], right['image'])
