import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from nets.data.segmentation import label_images

LABELS = np.arange(240).reshape(12, 20)


def png(rows, width, depth, colour_type):
    """A PNG file of packed rows, by the specification and without Pillow."""
    def chunk(kind, content):
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))

    header = struct.pack('>IIBBBBB', width, len(rows), depth, colour_type, 0, 0, 0)
    palette = chunk(b'PLTE', bytes(3 * 2 ** depth)) if colour_type == 3 else b''
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + palette
            + chunk(b'IDAT', zlib.compress(b''.join(b'\0' + bytes(row) for row in rows))) + chunk(b'IEND', b''))


@pytest.mark.parametrize('colour_type', [0, 3])
@pytest.mark.parametrize('depth', [1, 2, 4, 8])
def test_every_depth_gives_the_numbers_of_the_file(depth, colour_type):
    values = np.arange(24).reshape(3, 8) % 2 ** depth
    bits = (values[..., np.newaxis] >> np.arange(depth)[::-1]) & 1
    encoded = png(np.packbits(bits.reshape(3, -1), axis=1), 8, depth, colour_type)
    labels = label_images.decode(encoded)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, values)


def test_sixteen_bits_give_the_numbers_of_the_file():
    values = np.array([[0, 1, 255], [256, 40000, 65535]])
    encoded = png([row.astype('>u2').tobytes() for row in values], 3, 16, 0)
    np.testing.assert_array_equal(label_images.decode(encoded), values)
    np.testing.assert_array_equal(label_images.decode(label_images.encode(values)), values)


@pytest.mark.parametrize('palette', [None, label_images.voc_palette()])
def test_written_labels_come_back_and_the_palette_with_them(palette, tmp_path):
    path = tmp_path / 'label.png'
    label_images.write(path, LABELS, palette)
    np.testing.assert_array_equal(label_images.decode(path.read_bytes()), LABELS)
    with Image.open(path) as image:
        colours = np.asarray(image.convert('RGB'))
    expected = np.repeat(LABELS[..., np.newaxis], 3, 2) if palette is None else palette[LABELS]
    np.testing.assert_array_equal(colours, expected)
    assert os.listdir(tmp_path) == ['label.png']


def test_palette_is_that_of_pascal_voc():
    palette = label_images.voc_palette()
    assert palette.shape == (256, 3)
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128), 8: (64, 0, 0),
             15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}
    assert {number: tuple(palette[number].tolist()) for number in known} == known
    # By the text of a number: its bits from the last on go to red, green, blue, red and so on.
    for number in range(256):
        bits = f'{number:09b}'[::-1]
        assert palette[number].tolist() == [int(bits[channel::3].ljust(8, '0'), 2) for channel in range(3)]
    assert len({tuple(colour) for colour in palette.tolist()}) == 256


@pytest.mark.parametrize('palette', [None, label_images.voc_palette()])
def test_damage_anywhere_is_noticed(palette):
    encoded = label_images.encode(LABELS, palette)
    for position in range(len(encoded)):
        flipped = bytearray(encoded)
        flipped[position] ^= 0x41
        for damaged in (encoded[:position], bytes(flipped)):
            with pytest.raises(label_images.Damaged):
                label_images.decode(damaged)


@pytest.mark.parametrize(('content', 'words'), [
    (b'', r'it is empty \(0 bytes\)'), (b'\xff\xd8\xff\xe0 JPEG', 'it is no PNG file .* start with'),
    (png([b'\0'], 2, 8, 0), 'damaged or truncated PNG data'), (png([b'\0'], 1, 3, 0), 'damaged or truncated PNG')])
def test_what_is_no_label_image_is_told(content, words):
    with pytest.raises(label_images.Damaged, match=words):
        label_images.decode(content)


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'LA'])
def test_colours_are_refused_with_what_to_do(mode, encode):
    image = Image.fromarray(label_images.voc_palette()[LABELS]).convert(mode)
    with pytest.raises(label_images.Unusable, match='where class numbers are needed. .*from_colours'):
        label_images.decode(encode(image))


def test_colours_of_a_palette_become_numbers():
    colours = label_images.voc_palette()[LABELS]
    np.testing.assert_array_equal(label_images.from_colours(colours), LABELS)
    few = np.array([[9, 9, 9], [1, 2, 3]])
    np.testing.assert_array_equal(label_images.from_colours(few[[[1, 0], [0, 0]]], few), [[1, 0], [0, 0]])
    colours[3, 4] = 1, 2, 3
    with pytest.raises(label_images.Unusable, match=r'row 3 and column 4 has the colour \(1, 2, 3\), .*of the 256'):
        label_images.from_colours(colours)


@pytest.mark.parametrize(('labels', 'palette', 'words'), [
    ([[0, 256]], label_images.voc_palette(), 'from 0 to 255, for a palette; got 256'), ([[-1]], None, 'got -1'),
    ([[65536]], None, 'from 0 to 65535; got 65536'), ([0, 1], None, r'got int64 of shape \[2\]'),
    ([[0.5]], None, r'integers .* got float64')])
def test_labels_that_fit_no_file_are_explained_and_the_old_file_stays(labels, palette, words, tmp_path):
    path = tmp_path / 'label.png'
    path.write_bytes(b'old')
    with pytest.raises(ValueError, match=words):
        label_images.write(path, labels, palette)
    assert path.read_bytes() == b'old'


def test_overlay_mixes_colours_and_leaves_bare_classes(photo):
    image, labels = photo(12, 20), LABELS % 3
    labels[0] = 255
    shown = label_images.overlay(image, labels, opacity=0.25, bare=(255, 1))
    palette = label_images.voc_palette()
    for row, column in np.ndindex(labels.shape):
        label, pixel = labels[row, column], image[row, column].astype(float)
        expected = pixel if label in (1, 255) else np.rint(0.75 * pixel + 0.25 * palette[label])
        np.testing.assert_array_equal(shown[row, column], expected)
    assert shown.dtype == np.uint8
    with pytest.raises(ValueError, match=r'size of its labels, \[12, 20\].*got the shape \[11, 20, 3\]'):
        label_images.overlay(image[:11], labels)


def test_images_are_written_whole(tmp_path, photo):
    label_images.write_image(tmp_path / 'a.png', photo(5, 7))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO((tmp_path / 'a.png').read_bytes()))), photo(5, 7))
    assert os.listdir(tmp_path) == ['a.png']
