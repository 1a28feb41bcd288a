"""Shapes drawn over parts of photographs: a small task for segmentation that is there wherever scikit-learn is.

An image is a part of one of scikit-learn's two sample photographs with one to three shapes of any size, place and
rotation. Each is filled with a part of a photograph whose mean colour has been changed, to one that is more or less
that of its class, so that small networks learn it in minutes. An image depends on the seed, its split and its number
alone.
"""

import functools
import io

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

from nets.data import sources
from nets.data.segmentation import label_images

CLASS_NAMES = ('background', 'circle', 'square', 'triangle', 'cross')
NUM_EXAMPLES = {'train': 512, 'validation': 128}
SIZE = 97

# Training takes its parts from the left of the photographs and validation from the right, which begins here.
_BORDER = 0.6
# Sides of the parts of a photograph in pixels, before they are resized.
_PART_SIDES = (96, 171)
# Half of a shape's extent, by the image's side.
_RADII = (0.16, 0.3)
_MOST_SHAPES = 3
# How many places are tried for a shape that covers others too much or lies outside too much.
_PLACES = 10
_LEAST_VISIBLE = 0.9
# The least distance between the mean colours of a shape and of what it covers, in levels.
_LEAST_CONTRAST = 50
# The classes' mean colours, and how far those of shapes lie from them: a standard deviation, in levels.
_COLOURS = {'circle': (205, 75, 65), 'square': (75, 110, 205), 'triangle': (85, 175, 85), 'cross': (215, 185, 65)}
_COLOUR_DEVIATION = 20
# Images kept in memory, of some 25 KB each.
_KEPT = 4096


def source(split_name, num_examples=None, size=SIZE, seed=0):
    """The examples of a split.

    Args:
        split_name: str, a key of `NUM_EXAMPLES`.
        num_examples: int; None for that of `NUM_EXAMPLES`.
        size: int, height and width in pixels, at least 32.
        seed: int, at least 0.

    Returns:
        A `nets.data.sources.Source` of PNG files; see `nets.data.segmentation.datasets`.

    Raises:
        ValueError: If `num_examples` or `size` is too small.
        ImportError: If scikit-learn is not installed.
    """
    count = NUM_EXAMPLES[split_name] if num_examples is None else num_examples
    if size < 32 or count < 1:
        raise ValueError(f'The data set "shapes" must have images of at least 32 pixels, and one or more; got {count} '
                         f'of {size} pixels.')
    _photographs(split_name)

    @functools.lru_cache(_KEPT)
    def encoded(number):
        image, label = draw(split_name, number, size, seed)
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, 'PNG', compress_level=1)
        return buffer.getvalue(), label_images.encode(label)

    def load(row):
        image, label = tf.numpy_function(encoded, [row['number']], [tf.string, tf.string])
        image.set_shape([])
        label.set_shape([])
        return {'encoded': image, 'label': label, 'name': row['name'], 'image_file': row['name'],
                'label_file': row['name']}

    names = [f'shapes/{split_name}/{number:06d}.png' for number in range(count)]
    return sources.from_columns({'name': sources.strings(names), 'number': np.arange(count)}, load)


def draw(split_name, number, size=SIZE, seed=0):
    """Draws one image.

    Args:
        split_name, size, seed: see `source`.
        number: int, that of the example.

    Returns:
        `(image, label)`: uint8 arrays `[size, size, 3]`, RGB, and `[size, size]`, indices into `CLASS_NAMES`.
    """
    # Of NumPy's generators this one gives the same numbers in all releases.
    rng = np.random.RandomState([seed, sorted(NUM_EXAMPLES).index(split_name), number])
    image = _part(rng, split_name, size)
    label = np.zeros([size, size], np.uint8)
    for _ in range(rng.randint(1, _MOST_SHAPES + 1)):
        shape = rng.randint(1, len(CLASS_NAMES))
        for _ in range(_PLACES):
            mask, area = _place(rng, CLASS_NAMES[shape], size)
            if (mask & (label == 0)).sum() >= _LEAST_VISIBLE * area and not (mask & (label > 0)).any():
                image[mask] = _fill(rng, split_name, size, CLASS_NAMES[shape], image[mask].mean(axis=0))[mask]
                label[mask] = shape
                break
    return np.rint(image).astype(np.uint8), label


# Whether points belong to a shape of the radius 1 around 0; each shape's farthest points are at about that distance.
_INSIDE = {
    'circle': lambda x, y: x ** 2 + y ** 2 < 0.9,
    'square': lambda x, y: np.maximum(abs(x), abs(y)) < 0.8,
    'triangle': lambda x, y: (y < 0.6) & (y > np.sqrt(3) * abs(x) - 1.1),
    'cross': lambda x, y: (np.maximum(abs(x), abs(y)) < 1) & (np.minimum(abs(x), abs(y)) < 0.33),
}


def _place(rng, name, size):
    """A shape somewhere: bool `[size, size]`, and its area in pixels with what is outside of the image."""
    radius = rng.uniform(*_RADII) * size
    centre_y, centre_x = rng.uniform(0, size, 2)
    angle = rng.uniform(0, 2 * np.pi)
    margin = int(radius) + 1
    rows, columns = np.ogrid[-margin:size + margin, -margin:size + margin]
    y, x = (rows - centre_y) / radius, (columns - centre_x) / radius
    inside = _INSIDE[name](x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle))
    return inside[margin:-margin, margin:-margin], inside.sum()


def _fill(rng, split_name, size, name, covered):
    """Pixels for a shape: a part of a photograph in a colour of the class, other than the mean of what it covers."""
    texture = _part(rng, split_name, size)
    while True:
        colour = np.clip(rng.normal(_COLOURS[name], _COLOUR_DEVIATION), 20, 235)
        if np.linalg.norm(colour - covered) >= _LEAST_CONTRAST:
            break
    return np.clip(colour + rng.uniform(0.2, 0.8) * (texture - texture.mean(axis=(0, 1))), 0, 255)


def _part(rng, split_name, size):
    """A part of a photograph, float64 `[size, size, 3]`, 0-255."""
    photographs = _photographs(split_name)
    photograph = photographs[rng.randint(len(photographs))]
    side = rng.randint(*_PART_SIDES)
    left, top = (rng.randint(length - side + 1) for length in photograph.size)
    return np.asarray(photograph.resize((size, size), Image.BILINEAR, (left, top, left + side, top + side)), float)


@functools.cache
def _photographs(split_name):
    """The areas of the photographs for one split, a list of `PIL.Image`."""
    try:
        from sklearn.datasets import load_sample_images
    except ImportError as error:
        raise ImportError('The data set "shapes" is drawn over the photographs of scikit-learn, which is not '
                          "installed; run: pip install '.[demo]'") from error
    photographs = load_sample_images().images
    borders = [int(_BORDER * photograph.shape[1]) for photograph in photographs]
    return [Image.fromarray(photograph[:, :border] if split_name == 'train' else photograph[:, border:])
            for photograph, border in zip(photographs, borders, strict=True)]
