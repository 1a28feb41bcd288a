import hashlib
import io
import zlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from nets.data import images


def decode(encoded):
    with tf.Session() as session:
        return session.run(images.decode(tf.constant(encoded)))


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'L', 'LA', 'P', '1'])
def test_png_of_any_mode_decodes_to_the_pixels_of_pillow(mode, photo, encode):
    image = Image.fromarray(photo(13, 9)).convert(mode)
    np.testing.assert_array_equal(decode(encode(image)), np.asarray(image.convert('RGB')))


def test_transparent_png_keeps_its_colours(photo, encode):
    pixels = np.concatenate([photo(13, 9), np.zeros([13, 9, 1], np.uint8)], axis=-1)
    np.testing.assert_array_equal(decode(encode(pixels)), pixels[..., :3])


def test_16_bit_png_keeps_its_high_bytes(photo, encode):
    high = photo(13, 9)[..., 0].astype(np.uint16)
    decoded = decode(encode(high * 256 + 77))
    np.testing.assert_array_equal(decoded, np.repeat(high[..., None], 3, axis=-1))


@pytest.mark.parametrize('image_format', ['BMP', 'GIF'])
def test_other_formats_decode_to_the_pixels_of_pillow(image_format, photo, encode):
    image = Image.fromarray(photo(13, 9)).convert('P').convert('RGB')
    encoded = encode(image, image_format)
    np.testing.assert_array_equal(decode(encoded), np.asarray(Image.open(io.BytesIO(encoded)).convert('RGB')))


@pytest.mark.skipif(not hasattr(tf.io, 'decode_webp'), reason='This TensorFlow does not read WebP.')
def test_webp_decodes_to_its_pixels(photo, encode):
    np.testing.assert_array_equal(decode(encode(photo(13, 9), 'WEBP', lossless=True)), photo(13, 9))


def test_animation_decodes_to_its_first_frame(photo, encode):
    frames = [Image.fromarray(photo(12, 12, left)).convert('P').convert('RGB') for left in (0, 30)]
    animation = encode(frames[0], 'GIF', save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(animation), decode(encode(frames[0], 'GIF')))


@pytest.mark.parametrize('mode', ['RGB', 'L', 'CMYK'])
def test_jpeg_of_any_mode_decodes_close_to_its_source(mode, photo, encode):
    source = Image.fromarray(photo(64, 48)).convert(mode)
    decoded = decode(encode(source, 'JPEG', quality=98, subsampling=0))
    difference = np.abs(decoded.astype(int) - np.asarray(source.convert('RGB')))
    assert difference.mean() < 4


def test_photo_decodes_as_in_tensorflow_1(goldens, photo_file):
    for case in goldens.load_cases('preprocessing'):
        encoded = photo_file(case['photo'])
        assert hashlib.sha256(encoded).hexdigest() == case['photo_sha256']
        assert hashlib.sha256(decode(encoded).tobytes()).hexdigest() == case['decoded_sha256']


@pytest.mark.parametrize(('encoded', 'words'), [
    (b'', 'empty (0 bytes)'),
    (b'\xff\xd8\xff\xe0rest', 'damaged or truncated JPEG data of 8 bytes'),
    (b'\x89PNG\r\n\x1a\nrest', 'damaged or truncated PNG data of 12 bytes'),
    (b'\n <!DOCTYPE html>', 'looks like HTML or XML, 17 bytes, where JPEG or PNG is needed'),
    (b'II*\x00rest', 'looks like TIFF, 8 bytes, where JPEG or PNG is needed'),
    (b'\x00\x01', "no image in a known format (2 bytes that start with b'\\x00\\x01')"),
])
def test_diagnosis(encoded, words):
    assert images.diagnose(encoded).endswith(words)


@pytest.mark.parametrize('shape', [(8, 8), (1, 5), (7, 1), (33, 20)])
def test_own_png_holds_the_pixels(shape):
    pixels = np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)
    encoded = images.encode_grey_png(pixels)
    opened = Image.open(io.BytesIO(encoded))
    assert opened.mode == 'L'
    np.testing.assert_array_equal(np.asarray(opened), pixels)
    np.testing.assert_array_equal(decode(encoded), np.repeat(pixels[..., None], 3, axis=-1))


def test_own_png_has_valid_checksums():
    encoded = images.encode_grey_png(np.zeros([2, 2], np.uint8))
    position = 8
    while position < len(encoded):
        length = int.from_bytes(encoded[position:position + 4], 'big')
        chunk = encoded[position + 4:position + 8 + length]
        position += 12 + length
        assert zlib.crc32(chunk) == int.from_bytes(encoded[position - 4:position], 'big')
    assert chunk == b'IEND'


@pytest.mark.parametrize('pixels', [np.zeros([2, 2]), np.zeros([2, 2, 3], np.uint8)])
def test_own_png_refuses_other_arrays(pixels):
    with pytest.raises(ValueError, match=r'uint8 array of rank 2; got .* of shape \(2, 2'):
        images.encode_grey_png(pixels)
