"""Label images: PNG files whose pixels are class numbers, shown in colours by a palette or not at all.

A palette is uint8 `[256, 3]`, the RGB colour of each class number.
"""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from nets import atomic_file

_PNG = b'\x89PNG\r\n\x1a\n'
# Where the header of a PNG file holds the bits of a channel and the kind of colour (PNG specification, 11.2.2).
_DEPTH, _COLOUR_TYPE = 24, 25
_GREY = 0
_COLOUR_TYPES = {2: 'colours (RGB)', 4: 'grey levels with transparency', 6: 'colours with transparency (RGBA)'}
_BYTES = 256
_LEVELS = 65536


class Damaged(ValueError):
    """The file is empty, cut short, overwritten or no PNG file."""


class Unusable(ValueError):
    """The file is sound, and is not what a label image has to be."""


def voc_palette():
    """The colours of the PASCAL VOC development kit (VOCcode/VOClabelcolormap.m).

    The lowest three bits of a class number are the highest bits of red, green and blue, the next three bits are the
    second highest, and so on: 0 is black, 1 dark red, 255 off-white.

    Returns:
        A palette.
    """
    numbers = np.arange(_BYTES)
    palette = np.zeros([_BYTES, 3], np.uint8)
    for place in range(8):
        for channel in range(3):
            palette[:, channel] |= ((numbers >> (3 * place + channel) & 1) << (7 - place)).astype(np.uint8)
    return palette


def decode(encoded):
    """Reads the class numbers of a label image.

    Args:
        encoded: bytes, a PNG file with a palette or of one grey channel, of 1 to 16 bits. Colours and transparency of a
            palette do not matter.

    Returns:
        int32 array `[height, width]`: the indices into the palette, or the grey levels as they are in the file, such as
        0 to 15 where it has 4 bits.

    Raises:
        Damaged: If it is no whole PNG file.
        Unusable: If it holds colours.
    """
    if not encoded.startswith(_PNG):
        raise Damaged('it is empty (0 bytes)' if not encoded else
                      f'it is no PNG file ({len(encoded)} bytes that start with {encoded[:8]!r})')
    _check_chunks(encoded)
    try:
        with Image.open(io.BytesIO(encoded), formats=['PNG']) as image:
            depth, colour_type = encoded[_DEPTH], encoded[_COLOUR_TYPE]
            if colour_type in _COLOUR_TYPES:
                raise Unusable(
                    f'it holds {_COLOUR_TYPES[colour_type]} where class numbers are needed. Save it with a palette or '
                    'as one grey channel; nets.data.segmentation.label_images.from_colours turns the colours of a '
                    'palette into class numbers')
            values = np.asarray(image)
    except Unusable:
        raise
    except Exception as error:  # zlib's, struct's and Pillow's own, which have no common base
        raise _damaged(encoded) from error
    values = values.astype(np.int32)
    # Pillow stretches grey levels of less than 8 bits to 0-255, but of 1 bit, which become 0 and 1.
    return values // (255 // (2 ** depth - 1)) if colour_type == _GREY and depth in (2, 4) else values


def from_colours(pixels, palette=None):
    """Turns the colours of a palette into class numbers.

    Args:
        pixels: uint8 array `[height, width, 3]`, RGB, of label images that were saved as colours.
        palette: a palette, or one of fewer colours; None for `voc_palette`.

    Returns:
        int32 array `[height, width]`.

    Raises:
        Unusable: If a pixel has another colour.
    """
    palette = voc_palette() if palette is None else np.asarray(palette)
    codes = _colour_codes(palette)
    order = np.argsort(codes, kind='stable')
    wanted = _colour_codes(pixels)
    found = order[np.minimum(np.searchsorted(codes[order], wanted), len(codes) - 1)]
    wrong = codes[found] != wanted
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise Unusable(f'the pixel in row {row} and column {column} has the colour '
                       f'{tuple(np.asarray(pixels)[row, column].tolist())}, which is none of the {len(palette)} '
                       'of the palette. Lossy files, such as JPEG, do not keep colours')
    return found.astype(np.int32)


def encode(labels, palette=None):
    """Makes a label image.

    Args:
        labels: integer array `[height, width]`, 0 to 255; up to 65,535 without a palette.
        palette: a palette, which the file then has; None for plain grey levels, of 8 bits or, where these are not
            enough, of 16.

    Returns:
        The bytes of a PNG file.

    Raises:
        ValueError: If the labels are of another shape, no integers, or out of range.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f'labels must be integers of shape [height, width]; got {labels.dtype} of shape '
                         f'{list(labels.shape)}.')
    low, high = labels.min(initial=0), labels.max(initial=0)
    limit = _LEVELS if palette is None else _BYTES
    if low < 0 or high >= limit:
        raise ValueError(f'labels must be from 0 to {limit - 1}{"" if palette is None else ", for a palette"}; got '
                         f'{low if low < 0 else high}.')
    image = Image.fromarray(labels.astype(np.uint8 if high < _BYTES else np.uint16))
    if palette is not None:
        image.putpalette(np.asarray(palette, np.uint8).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, 'PNG')
    return buffer.getvalue()


def write(path, labels, palette=None):
    """Writes a label image, which appears whole or not at all; see `encode`."""
    content = encode(labels, palette)
    with atomic_file.writing(path, 'wb') as file:
        file.write(content)


def overlay(image, labels, palette=None, opacity=0.5, bare=(255,)):
    """Shows a segmentation over its photograph.

    Args:
        image: uint8 array `[height, width, 3]`, RGB.
        labels: integer array `[height, width]`, 0 to 255.
        palette: a palette; None for `voc_palette`.
        opacity: float from 0, the photograph, to 1, the colours of the classes.
        bare: class numbers whose pixels keep the photograph.

    Returns:
        uint8 array `[height, width, 3]`.

    Raises:
        ValueError: If the sizes differ.
    """
    image, labels = np.asarray(image), np.asarray(labels)
    if image.shape != (*labels.shape, 3):
        raise ValueError(f'The image must be of the size of its labels, {list(labels.shape)}, and have 3 channels; got '
                         f'the shape {list(image.shape)}.')
    colours = (voc_palette() if palette is None else np.asarray(palette))[labels]
    mixed = np.rint(image * (1 - opacity) + colours * opacity).astype(np.uint8)
    return np.where(np.isin(labels, bare)[..., np.newaxis], image, mixed)


def write_image(path, pixels):
    """Writes an image as PNG, which appears whole or not at all.

    Args:
        path: the file.
        pixels: uint8 array `[height, width, 3]`, RGB, or `[height, width]`, grey.
    """
    with atomic_file.writing(path, 'wb') as file:
        Image.fromarray(np.asarray(pixels)).save(file, 'PNG')


def _colour_codes(pixels):
    """One number for each colour."""
    return np.asarray(pixels, np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)


def _damaged(encoded):
    return Damaged(f'it is damaged or truncated PNG data of {len(encoded)} bytes')


def _check_chunks(encoded):
    """Raises `Damaged` unless every part up to the last is there with its checksum, which Pillow does not look at."""
    position, kind = len(_PNG), None
    while kind != b'IEND':
        if position + 12 > len(encoded):
            raise _damaged(encoded)
        length, kind = struct.unpack_from('>I4s', encoded, position)
        end = position + 8 + length
        checksum = encoded[end:end + 4]
        if len(checksum) < 4 or zlib.crc32(encoded[position + 4:end]) != int.from_bytes(checksum, 'big'):
            raise _damaged(encoded)
        position = end + 4
