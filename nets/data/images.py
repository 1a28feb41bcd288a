"""Decoding of images as a whole or in part, a diagnosis of those that cannot be decoded, and a small PNG encoder."""

import struct
import zlib

import numpy as np
import tensorflow.compat.v1 as tf

# First bytes of what people name `.jpg` or `.png`, its format, and what to call it in an error.
_SIGNATURES = (
    (b'\xff\xd8\xff', 'jpg', 'JPEG'),
    (b'\x89PNG\r\n\x1a\n', 'png', 'PNG'),
    (b'GIF8', 'gif', 'GIF'),
    (b'BM', 'bmp', 'BMP'),
    (b'RIFF', 'webp', 'WebP (which older releases of TensorFlow cannot read)'),
)
_UNSUPPORTED_SIGNATURES = (
    (b'II*\x00', 'TIFF'),
    (b'MM\x00*', 'TIFF'),
    (b'%PDF', 'PDF'),
    (b'PK\x03\x04', 'zip'),
    (b'<', 'HTML or XML'),
)

_JPEG_END = b'\xff\xd9'
# Pixels on each side of a part of a JPEG, so that those within come out as they do from the whole.
_CONTEXT = 2


def decode(encoded):
    """Decodes one image of any kind that TensorFlow reads to RGB.

    Grey images get three equal channels, palettes are looked up, alpha is dropped, CMYK is converted, 16 bits
    become 8, and of an animation the first frame counts. The orientation tag of a camera is not looked at
    (slim did not either).

    Args:
        encoded: string scalar, the bytes of a JPEG, PNG, GIF or BMP file, or of WebP where
            `tf.io.decode_webp` exists.

    Returns:
        uint8 `[height, width, 3]` RGB, 0-255. Running it raises `InvalidArgumentError` on a corrupt image.
    """
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image.set_shape([None, None, 3])
    return image


class Encoded:
    """An image that is decoded once it is known which part of it is wanted.

    Of a JPEG no more than that part is decoded, which takes less time and gives the same pixels. Damage that decoding
    meets below that part only is then not seen, though rows just above it may be wrong already; except that a file
    without its end is always decoded as a whole, which is an error.
    """

    def __init__(self, encoded):
        """Takes a string scalar, as `decode` does."""
        last = tf.strings.substr(encoded, tf.maximum(tf.strings.length(encoded) - 2, 0), 2)
        self._encoded = encoded
        self._partly = tf.logical_and(tf.io.is_jpeg(encoded), tf.equal(last, _JPEG_END))

        def decode_whole():
            pixels = decode(encoded)
            return pixels, tf.shape(pixels)

        # Whole, unless it can be decoded in part.
        self._pixels, self._shape = tf.cond(
            self._partly, lambda: (tf.zeros([0, 0, 3], tf.uint8), _jpeg_shape(encoded)), decode_whole)

    @property
    def shape(self):
        """The shape of the image, int32 `[3]`. Running it raises as `decode` does."""
        return self._shape

    def whole(self):
        """Decodes the whole image, as `decode` does."""
        return decode(self._encoded)

    def crop(self, start, size):
        """Decodes a part of the image.

        Args:
            start: int32 `[3]`, top, left and 0.
            size: int32 `[3]`, height, width and 3.

        Returns:
            What `tf.slice(decode(encoded), start, size)` gives.
        """
        def decode_part():
            # Colours have half the resolution of brightness in most files. Each pixel's come from the colours around
            # it as well, which have to be in what is decoded.
            low = tf.maximum(start - _CONTEXT, 0)[:2]
            high = tf.minimum(start + size + _CONTEXT, self._shape)[:2]
            part = tf.image.decode_and_crop_jpeg(self._encoded, tf.concat([low, high - low], 0), channels=3)
            return tf.slice(part, tf.concat([start[:2] - low, [0]], 0), size)

        return tf.cond(self._partly, decode_part, lambda: tf.slice(self._pixels, start, size))


def _jpeg_shape(encoded):
    """The shape that a JPEG has as RGB."""
    return tf.concat([tf.image.extract_jpeg_shape(encoded)[:2], [3]], 0)


def whole(image):
    """The pixels of an `Encoded` or of a decoded image, uint8 `[height, width, 3]`."""
    return image.whole() if isinstance(image, Encoded) else image


def shape_of(image):
    """The shape of an `Encoded` or of a decoded image, int32 `[3]`."""
    return image.shape if isinstance(image, Encoded) else tf.shape(image)


def crop(image, start, size):
    """A part of an `Encoded` or of a decoded image; see `Encoded.crop`."""
    return image.crop(start, size) if isinstance(image, Encoded) else tf.slice(image, start, size)


class Checker:
    """Decodes images one by one, outside of any graph, on one thread."""

    def __init__(self):
        with tf.Graph().as_default():
            encoded = tf.placeholder(tf.string, [])
            shape = tf.shape(decode(encoded))
            self._session = tf.Session(config=tf.ConfigProto(
                device_count={'GPU': 0}, intra_op_parallelism_threads=1, inter_op_parallelism_threads=1))
            self._shape = self._session.make_callable(shape, [encoded])

    def check(self, encoded):
        """Decodes an image.

        Args:
            encoded: bytes.

        Returns:
            `(image_format, height, width)`: `'jpg'`, `'png'`, `'gif'`, `'bmp'` or `'webp'`, by the first bytes, and
            the size in pixels.

        Raises:
            ValueError: If the image cannot be decoded; the message is what `diagnose` says.
        """
        try:
            height, width, _ = self._shape(encoded).tolist()
        except tf.errors.OpError as error:
            raise ValueError(diagnose(encoded)) from error
        return next(name for signature, name, _ in _SIGNATURES if encoded.startswith(signature)), height, width


def diagnose(encoded):
    """Says in a few words what is wrong with bytes that `decode` refused.

    Args:
        encoded: bytes.

    Returns:
        A str such as `'damaged or truncated JPEG data of 1234 bytes'`.
    """
    if not encoded:
        return 'it is empty (0 bytes)'
    for signature, _, kind in _SIGNATURES:
        if encoded.startswith(signature):
            return f'it is damaged or truncated {kind} data of {len(encoded)} bytes'
    for signature, kind in _UNSUPPORTED_SIGNATURES:
        if encoded.lstrip().startswith(signature):
            return f'it looks like {kind}, {len(encoded)} bytes, where JPEG or PNG is needed'
    return f'it is no image in a known format ({len(encoded)} bytes that start with {encoded[:8]!r})'


def encode_grey_png(pixels):
    """Encodes a grey image as PNG.

    Args:
        pixels: uint8 array `[height, width]`, 0-255.

    Returns:
        The bytes of an 8-bit greyscale PNG file (PNG specification, sections 5 and 11.2), the same on every
        machine with the same zlib.

    Raises:
        ValueError: If `pixels` is not a uint8 array of rank 2.
    """
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise ValueError(
            f'pixels must be a uint8 array of rank 2; got {pixels.dtype} of shape {pixels.shape}.')
    height, width = pixels.shape
    # Each row starts with the number of its filter; 0 is "none".
    rows = np.concatenate([np.zeros([height, 1], np.uint8), pixels], axis=1)
    chunks = ((b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)),
              (b'IDAT', zlib.compress(rows.tobytes(), 9)),
              (b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))
        for kind, content in chunks)
