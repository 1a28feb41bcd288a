"""What a network sees, as pictures over the photograph: principal components of features, probabilities of a class."""

import numpy as np
from PIL import Image

from nets.inference import heatmap as colour_scale

_OPACITY = 0.6
# Shares of the values that become the darkest and the brightest colour.
_RANGE = (0.01, 0.99)


def principal_components(image, features, shown=(1.0, 1.0)):
    """Features in colours over their photograph: red, green and blue are the three components that vary most.

    Args:
        image: uint8 `[height, width, 3]`.
        features: float `[height', width', depth]`.
        shown: The share of the features' height and width that shows the image; the rest is padding.

    Returns:
        uint8 `[height, width, 3]`.

    Raises:
        ValueError: The features are no numbers.
    """
    rows, columns = (max(1, round(size * share)) for size, share in zip(features.shape, shown, strict=False))
    values = features[:rows, :columns].reshape(rows * columns, -1).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError('The features are no numbers (NaN): the weights are damaged.')
    values -= values.mean(axis=0)
    _, vectors = np.linalg.eigh(values.T @ values)
    vectors = vectors[:, ::-1][:, :3]
    # The sign of a component is free; so that pictures of one network are alike, its largest weight is positive.
    vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), range(vectors.shape[1])])
    components = np.zeros([len(values), 3])
    components[:, :vectors.shape[1]] = values @ vectors
    low, high = np.quantile(components, _RANGE, axis=0)
    components = np.clip((components - low) / np.where(high > low, high - low, 1), 0, 1)
    return _blended(image, _resized(np.uint8(np.rint(255 * components)).reshape(rows, columns, 3), image.shape))


def heatmap(image, probabilities):
    """The probability of a class over the photograph, from blue, 0, to red, 1.

    Args:
        image: uint8 `[height, width, 3]`.
        probabilities: float `[height, width]`, in [0, 1].

    Returns:
        uint8 `[height, width, 3]`.
    """
    return _blended(image, 255 * colour_scale.colours(probabilities))


def _resized(pixels, shape):
    """uint8 pixels in the height and width of a shape, by bilinear interpolation."""
    return np.asarray(Image.fromarray(pixels).resize((shape[1], shape[0]), Image.BILINEAR))


def _blended(image, colours):
    return np.clip(np.rint((1 - _OPACITY) * image + _OPACITY * colours), 0, 255).astype(np.uint8)
