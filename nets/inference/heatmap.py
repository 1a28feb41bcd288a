"""Class activation maps as pictures: which parts of an image speak for a class (Zhou et al. 2016, arXiv:1512.04150)."""


import numpy as np
import tensorflow.compat.v1 as tf

from nets.checkpoints import preset_file

_OPACITY = 0.5
# From the lowest to the highest number, the same distance apart: the more, the more red and the less blue.
_COLOURS = ((0, 0, 1), (0, 0.7, 0.9), (0.4, 0.9, 0.4), (0.9, 0.7, 0), (1, 0, 0))


def picture_fn(preset):
    """Makes the function that undoes the preprocessing of a preset, but for resizing and cropping.

    Args:
        preset: a `preset_file.Preset`.

    Returns:
        A function from a preprocessed image, float32 `[size, size, 3]`, to the RGB picture that it shows, uint8 of the
        same shape. Where an image is standardised by its own mean and deviation, its range is stretched to 0-255.
    """
    black, *primaries = _prepared(preset, [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)])
    # The preprocessing of one colour, whatever the scale, the means and the order of the channels.
    matrix = np.stack([colour - black for colour in primaries], axis=1) / 255
    if np.linalg.matrix_rank(matrix) < 3:
        return _stretched
    inverse = np.linalg.inv(matrix)
    return lambda prepared: _to_pixels((prepared.astype(np.float64) - black) @ inverse.T)


def overlay(picture, activation):
    """Lays a map in colours over a picture, from blue, where it is lowest, to red.

    Args:
        picture: uint8 `[height, width, 3]`.
        activation: float `[map_height, map_width]`.

    Returns:
        uint8 `[height, width, 3]`.
    """
    values = resize(activation.astype(np.float64), picture.shape[0], picture.shape[1])
    span = np.ptp(values)
    values = (values - values.min()) / span if span else np.zeros_like(values)
    return _to_pixels((1 - _OPACITY) * picture + _OPACITY * 255 * colours(values))


def resize(values, height, width):
    """A map resized by bilinear interpolation between the centres of its cells; float64 `[height, width]`."""
    for size in (height, width):
        centres = (np.arange(size) + 0.5) * len(values) / size - 0.5
        # Each axis is the first one in its turn.
        values = np.stack([np.interp(centres, np.arange(len(values)), column) for column in values.T])
    return values


def colours(values):
    """Numbers from 0 to 1 as blue, cyan, green, yellow and red: float `[…, 3]`, RGB 0-1."""
    places = np.linspace(0, 1, len(_COLOURS))
    return np.stack([np.interp(values, places, channel) for channel in zip(*_COLOURS)], axis=-1)


def _prepared(preset, colours_):
    """What the preprocessing makes of images of one colour: float64 `[colours, 3]`."""
    size = preset.image_size
    with tf.Graph().as_default(), tf.device('/cpu:0'):
        image = tf.placeholder(tf.uint8, [size, size, 3])
        prepared = preset_file.preprocess_fn(preset)(image, size, size)
        with tf.Session() as session:
            return np.array([session.run(prepared, {image: np.full([size, size, 3], colour, np.uint8)}).mean((0, 1))
                             for colour in colours_], np.float64)


def _stretched(prepared):
    low, span = prepared.min(), np.ptp(prepared)
    return _to_pixels((prepared - low) * (255 / span if span else 0))


def _to_pixels(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
