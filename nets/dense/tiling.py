"""Feature maps and class maps of images of any size, a tile at a time.

    field = receptive_field.of_network('resnet_v1_50', output_stride=16)
    tiler = tiling.Tiler(run_fn, field, tile_size=1025)   # run_fn: [1, height, width, 3] -> [1, height', width', depth]
    tiler.class_map('photograph.jpg', 'classes.npy')

Tiles begin at multiples of the strides and their sizes differ from the image's by multiples of them, so that strides
and paddings fall on the same pixels in a tile as in the image. A tile keeps those rows of its map whose receptive field
it holds; where it ends with the image, the network pads it as it pads the image. What is kept is therefore the same as
in one piece, up to the rounding of sums.
"""

import itertools
import math
import os
from typing import NamedTuple

import numpy as np

from nets import atomic_file
from nets.dense.bilinear import Positions, classes
from nets.dense.image_source import open_image

# Pixels that a tile keeps of its height and width unless a tile size is given.
_KEPT = 1024


class Span(NamedTuple):
    """A tile's part of one axis: pixels `start` to `stop` of the image, rows `first` to before `last` of the map."""

    start: int
    stop: int
    first: int
    last: int


class Tile(NamedTuple):
    """A part of a map: `values` are those at the slices `rows` and `columns`."""

    rows: slice
    columns: slice
    values: np.ndarray


def spans(size, field, tile_size=None, overlap=None, shared=0):
    """Cuts an axis into spans of one size, which together keep every row of the map.

    Args:
        size: Pixels of the image.
        field: A bounded `field.Field`.
        tile_size: Pixels of the longest span; None for what keeps 1024 of them. The span is what is left of it at a
            multiple of `field.alignment` from `size`.
        overlap: Pixels that a row of the map is to have on either side, in the tile; None for those that it depends on.
        shared: Rows of the map that neighbours both keep.

    Returns:
        A list of `Span`s, from the first pixel to the last.

    Raises:
        ValueError: If the tile size is too small for the overlap, or a value is negative or no int.
    """
    for name, value in (('tile_size', tile_size), ('overlap', overlap)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0):
            raise ValueError(f'{name} must be a whole number of pixels, or None; got {value!r}.')
    stride, first, last = field.reach(size)
    before, after = (n if overlap is None else min(n, overlap) for n in (-first, last))
    tile_size = before + after + _KEPT if tile_size is None else tile_size
    map_size, alignment = field.map_size(size), field.alignment
    if size <= tile_size:
        return [Span(0, size, 0, map_size)]
    length = size - -(-(size - tile_size) // alignment) * alignment
    step = (((length - 1 - after) // stride + 1 - shared) * stride - before) // alignment * alignment
    if length < 1 or step < 1:
        least = -(-(alignment + before) // stride) * stride + (shared - 1) * stride + after + 1
        raise ValueError(f'tile_size must be at least {min(size, least + (size - least) % alignment)} for an overlap '
                         f'of {max(before, after)} pixels and an image of {size}; got {tile_size}. Use larger tiles '
                         'or a smaller overlap.')
    steps = -(-(size - length) // step)
    starts = [i * (size - length) // steps // alignment * alignment for i in range(steps + 1)]
    cuts = [0]
    for start, following in zip(starts, starts[1:]):
        least, most = -(-(following + before) // stride), (start + length - 1 - after) // stride + 1 - shared
        cuts.append((least + most) // 2)
    cuts.append(map_size)
    return [Span(start, start + length, cut, end + (shared if end < map_size else 0))
            for start, cut, end in zip(starts, cuts, cuts[1:])]


class Tiler:
    """Runs a network on images of any size."""

    def __init__(self, run_fn, field, tile_size=None, overlap=None, preprocess=None, approximate=False):
        """See `spans` for how images are cut.

        Args:
            run_fn: Function that runs the network: float32 images `[1, height, width, channels]` in, a map
                `[1, height', width', depth]` out. All tiles of an image have one size.
            field: The `field.Field` of the map; see `receptive_field` and `graph_field`.
            tile_size: Pixels of the height and width of a tile, or a pair; None for 1024 and what the overlap needs.
            overlap: Pixels of the image around what a tile keeps; None for as many as the map depends on, which makes
                the results those of the whole image. With fewer, what is near the edges of a tile sees zeros for some
                of what it should see.
            preprocess: Function of an array `[height, width, channels]` as it is in the image that returns numbers for
                the network, each pixel by itself; None for the numbers as they are.
            approximate: Whether a field may be unbounded: what is pooled over the image is then pooled over a tile.

        Raises:
            ValueError: If the field is unbounded and `approximate` is not set.
        """
        if not (field.is_bounded or approximate):
            raise ValueError('This network pools something over the whole image, and a tile is not the whole image. '
                             'Feed what Tiler.mean gives, with field.local(), or set approximate=True.')
        self._run_fn, self._field, self._overlap = run_fn, field if field.is_bounded else field.local(), overlap
        self._tile_sizes = tuple(tile_size) if isinstance(tile_size, (list, tuple)) else (tile_size, tile_size)
        if len(self._tile_sizes) != 2:
            raise ValueError(f'tile_size must be a number or a pair of height and width; got {tile_size!r}.')
        self._preprocess = preprocess or (lambda pixels: pixels)

    def padded(self, size):
        """Height or width that an image is brought to, with zeros after preprocessing, at its bottom and right.

        It is the next multiple of the strides plus 1 if the network resizes maps of different strides to each other,
        and `size` otherwise.
        """
        return size + (1 - size) % self._field.alignment if self._field.needs_corners else size

    def map_shape(self, shape):
        """Height and width of the map of an image of a shape."""
        return tuple(self._field.map_size(self.padded(size)) for size in shape[:2])

    def tiles(self, image, progress=None):
        """Runs the network on a tile after the other, row by row.

        Args:
            image: Array `[height, width, channels]` or path; see `image_source.open_image`.
            progress: Function `(number of tiles that are done, number of tiles)`, called after each.

        Returns:
            An iterator of `Tile`s, which together are the map.
        """
        return self._tiles(open_image(image), progress)

    def _tiles(self, image, progress):
        for rows, columns, values in self._runs(image, progress, shared=0):
            yield Tile(slice(rows.first, rows.last), slice(columns.first, columns.last), values)

    def run(self, image, out=None, progress=None):
        """Computes the map of an image.

        Args:
            image, progress: See `tiles`.
            out: Array `[height', width', depth]` to write to, such as a `np.memmap`; or the path of a `.npy` file,
                which appears when it is complete; or None.

        Returns:
            `out`, or a new array.

        Raises:
            ValueError: If the shape of `out` or of what `run_fn` returns is not that of the map.
        """
        image = open_image(image)
        return _written(self._tiles(image, progress), self.map_shape(image.shape), out)

    def class_map(self, image, out=None, progress=None):
        """Computes the class of every pixel: that of the largest logit, logits resized with `align_corners`.

        Args:
            image, progress: See `tiles`. The network's map has a logit for each class.
            out: As for `run`, of the shape `[height, width]`.

        Returns:
            `out`, or a new array: uint8, or uint16 for more than 256 classes.
        """
        image = open_image(image)
        places = [Positions(*sizes) for sizes in zip(self.map_shape(image.shape), map(self.padded, image.shape[:2]))]

        def pieces():
            for *axes, logits in self._runs(image, progress, shared=1):
                parts = [_pixels(*axis) for axis in zip(places, axes, image.shape)]
                if all(part.start < part.stop for part in parts):
                    yield *parts, classes(logits, *[place.taken(part, axis.first) for place, part, axis in zip(
                        places, parts, axes)]).astype(np.uint8 if logits.shape[2] <= 256 else np.uint16)

        return _written(pieces(), image.shape[:2], out)

    def mean(self, image, progress=None):
        """The mean of the map over all of an image, float64 `[depth]`.

        Heads with image pooling run in two passes: this one for the mean of the features, and another of which `run_fn`
        feeds it, with the field `graph_field.of_function(…).local()`.
        """
        image = open_image(image)
        total = sum(tile.values.sum((0, 1), dtype=np.float64) for tile in self._tiles(image, progress))
        return total / math.prod(self.map_shape(image.shape))

    def _runs(self, image, progress, shared):
        """Yields the `Span`s of a tile's rows and columns, and what it keeps of its map: `[rows, columns, depth]`."""
        axes = [spans(self.padded(size), self._field, tile_size, self._overlap, shared)
                for size, tile_size in zip(image.shape, self._tile_sizes)]
        strides = [self._field.reach(self.padded(size)).stride for size in image.shape[:2]]
        tiles = [(rows, columns) for rows in axes[0] for columns in axes[1]]
        for done, tile in enumerate(tiles, 1):
            kept = tuple(slice(span.first - span.start // stride, span.last - span.start // stride)
                         for span, stride in zip(tile, strides))
            yield *tile, self._map(image, *tile)[kept]
            if progress:
                progress(done, len(tiles))

    def _map(self, image, rows, columns):
        """Runs the network on one tile."""
        pixels = self._preprocess(image.read(slice(rows.start, rows.stop), slice(columns.start, columns.stop)))
        size = (rows.stop - rows.start, columns.stop - columns.start)
        missing = [(0, n - m) for n, m in zip(size, pixels.shape)]
        values = np.asarray(self._run_fn(np.pad(pixels, [*missing, (0, 0)])[np.newaxis].astype(np.float32, copy=False)))
        expected = tuple(map(self._field.map_size, size))
        if values.ndim != 4 or values.shape[:3] != (1, *expected):
            raise ValueError(f'run_fn must return [1, {expected[0]}, {expected[1]}, depth] for a tile of {size[0]} x '
                             f'{size[1]} pixels, as the receptive field says; it returned {list(values.shape)}.')
        return values[0]


def _pixels(places, span, size):
    """The slice of the pixels of a class map, of `size`, from a tile's first row of the map to the one it shares."""
    part = places.range(span.first, span.last if span.last == places.size else span.last - 1)
    return slice(min(part.start, size), min(part.stop, size))


def _written(pieces, shape, out):
    """Writes pieces `(rows, columns, values)` of an array of a shape (and depth) to `out`, and returns that."""
    first = next(pieces)
    shape, dtype = (*shape, *first[2].shape[2:]), first[2].dtype
    pieces = itertools.chain([first], pieces)
    if isinstance(out, (str, os.PathLike)):
        if not os.fspath(out).endswith('.npy'):
            raise ValueError(f'out must be the name of a .npy file, an array or None; got {out!r}.')
        with atomic_file.writing(out, 'wb') as file:
            np.lib.format.open_memmap(file.name, 'w+', dtype, shape)
            for rows, columns, values in pieces:  # what is mapped counts as memory: a mapping for each
                np.lib.format.open_memmap(file.name, 'r+')[rows, columns] = values
        return out
    out = np.empty(shape, dtype) if out is None else out
    if tuple(out.shape) != shape:
        raise ValueError(f'out must be of the shape {list(shape)}; got {list(out.shape)}.')
    for rows, columns, values in pieces:
        out[rows, columns] = values
    return out
