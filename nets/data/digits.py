"""The handwritten digits that come with scikit-learn, as PNG files in memory.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
1998; scikit-learn holds its test part, 1,797 grey images of 8x8 pixels.
"""

import numpy as np

from nets.data import images

NUM_HELD_OUT = 360
CLASS_NAMES = tuple(str(digit) for digit in range(10))
_SPLIT_SEED = 0


def load(held_out):
    """Loads one part of the digits.

    Args:
        held_out: True for the 360 images kept for testing, False for the 1,437 for training.

    Returns:
        `(names, labels, encoded)`: lists of `digits/train/000123` (the number is the image's index in
        scikit-learn, the middle part `train` or `test`), of ints 0-9 and of PNG files as bytes.

    Raises:
        ImportError: If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError('The data set "digits" comes from scikit-learn, which is not installed; '
                          'run: pip install "nets[demo]"') from error
    digits = load_digits()
    indices = split_indices(digits.target, held_out)
    # The pixels count 0..16 dots.
    pixels = np.rint(digits.images[indices] * (255 / 16)).astype(np.uint8)
    folder = 'test' if held_out else 'train'
    return ([f'digits/{folder}/{index:06d}' for index in indices], digits.target[indices].tolist(),
            [images.encode_grey_png(image) for image in pixels])


def split_indices(labels, held_out):
    """Chooses the images of one part, with each digit held out in proportion.

    Args:
        labels: int array `[num_images]`.
        held_out: as for `load`.

    Returns:
        A sorted int array of the indices of that part.
    """
    labels = np.asarray(labels)
    order = np.random.RandomState(_SPLIT_SEED).permutation(len(labels))
    shares = np.bincount(labels) * (NUM_HELD_OUT / len(labels))
    counts = np.floor(shares).astype(int)
    # What rounding down left over goes to the largest remainders.
    counts[np.argsort(counts - shares, kind='stable')[:NUM_HELD_OUT - counts.sum()]] += 1
    chosen = [order[labels[order] == label][:count] for label, count in enumerate(counts)]
    mask = np.zeros(len(labels), bool)
    mask[np.concatenate(chosen)] = True
    return np.flatnonzero(mask == held_out)
