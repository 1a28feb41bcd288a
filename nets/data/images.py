"""Decoding of encoded images, a diagnosis of those that cannot be decoded, and a small PNG encoder."""

import struct
import zlib

import numpy as np
import tensorflow.compat.v1 as tf

# First bytes of what people name `.jpg` or `.png`, and what to call it in an error.
_SIGNATURES = (
    (b'\xff\xd8\xff', 'JPEG'),
    (b'\x89PNG\r\n\x1a\n', 'PNG'),
    (b'GIF8', 'GIF'),
    (b'BM', 'BMP'),
    (b'RIFF', 'WebP (which older releases of TensorFlow cannot read)'),
)
_UNSUPPORTED_SIGNATURES = (
    (b'II*\x00', 'TIFF'),
    (b'MM\x00*', 'TIFF'),
    (b'%PDF', 'PDF'),
    (b'PK\x03\x04', 'zip'),
    (b'<', 'HTML or XML'),
)


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


def diagnose(encoded):
    """Says in a few words what is wrong with bytes that `decode` refused.

    Args:
        encoded: bytes.

    Returns:
        A str such as `'damaged or truncated JPEG data of 1234 bytes'`.
    """
    if not encoded:
        return 'it is empty (0 bytes)'
    for signature, kind in _SIGNATURES:
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
