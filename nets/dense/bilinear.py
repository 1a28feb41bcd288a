"""Bilinear resizing with `align_corners`, a part at a time, as TensorFlow resizes the whole."""

import numpy as np

# Rows that are resized at once: few enough for a processor's cache, enough to pay for the call.
_STRIP = 16


class Positions:
    """Where the rows (or columns) of a resized map lie among those of the map.

    Attributes:
        size: Rows of the map.
        below: The row of the map at or before each row.
        above: The one after it, or the last.
        share: That of the row `above`, from 0 to 1, computed in float32 as TensorFlow does.
    """

    def __init__(self, size, new_size):
        scale = np.float32(size - 1) / np.float32(new_size - 1) if new_size > 1 else np.float32(0)
        self.size = size
        position = np.arange(new_size, dtype=np.float32) * scale
        below = np.minimum(np.floor(position), size - 1)
        self.below = below.astype(np.int64)
        self.above = np.minimum(self.below + 1, size - 1)
        self.share = np.where(self.above > self.below, position - below, np.float32(0))

    def range(self, first, last):
        """The slice of those rows that lie from row `first` on and before row `last` of the map."""
        return slice(*np.searchsorted(self.below, [first, last]).tolist())

    def taken(self, part, offset):
        """`below`, `above` and `share` of a slice of the rows, for a part of the map that begins at row `offset`."""
        return self.below[part] - offset, self.above[part] - offset, self.share[part]


def classes(logits, rows, columns):
    """The class of the largest logit at each place of a resized map.

    Args:
        logits: `[height, width, classes]`, float32.
        rows: Three arrays of a length: for each row of the result, two rows of `logits` and the share of the latter.
        columns: The same for columns.

    Returns:
        Array of ints, `[number of rows, number of columns]`.
    """
    wide = _between(logits, columns, 1)
    strips = [tuple(array[i:i + _STRIP] for array in rows) for i in range(0, len(rows[0]), _STRIP)]
    return np.concatenate([_between(wide, strip, 0).argmax(2) for strip in strips])


def _between(values, places, axis):
    below, above, share = places
    low = values.take(below, axis)
    share = share.reshape([-1 if i == axis else 1 for i in range(3)])
    return low + (values.take(above, axis) - low) * share
