"""Images of which a part at a time is read: arrays, arrays on disk, and image files."""

import os

import numpy as np
from PIL import Image


def open_image(image):
    """Opens an image.

    Args:
        image: Array `[height, width, channels]`, such as a `np.memmap`; or the path of a `.npy` file that holds one, of
            which only what is asked for is read; or the path of an image file of 8 bits, which is decoded once, to 4
            bytes a pixel.

    Returns:
        An object with a `shape` and a method `read(rows, columns)`, which takes two slices and returns an array.

    Raises:
        ValueError: If the array is not of three dimensions, or the file has more than 8 bits a channel or too many
            pixels.
        OSError: If there is no such file, or it is no whole image.
    """
    if not isinstance(image, (str, os.PathLike)):
        return _Array(image)
    return _ArrayFile(image) if os.fspath(image).endswith('.npy') else _Picture(image)


class _Array:
    def __init__(self, array, name='The image'):
        if getattr(array, 'ndim', None) != 3 or 0 in array.shape:
            raise ValueError(f'{name} must be an array [height, width, channels], none of them 0; got '
                             f'{getattr(array, "shape", array)!r}.')
        self._array, self.shape = array, tuple(array.shape)

    def read(self, rows, columns):
        return np.asarray(self._array[rows, columns])


class _ArrayFile:
    """An array on disk. What is mapped counts as memory, and so each part has a mapping of its own."""

    def __init__(self, path):
        self._path = path
        self.shape = _Array(self._map(), os.fspath(path)).shape

    def read(self, rows, columns):
        return np.array(self._map()[rows, columns])

    def _map(self):
        return np.load(self._path, mmap_mode='r')


class _Picture:
    def __init__(self, path):
        try:
            self._image = Image.open(path)
            self._image.load()
        except Image.DecompressionBombError as error:
            raise ValueError(f'{path}: {error} Give it as an array, or as the path of a .npy file.') from None
        except FileNotFoundError:
            raise
        except (OSError, SyntaxError) as error:
            raise OSError(f'{path} cannot be decoded: {error}') from error
        if self._image.mode.startswith(('I', 'F')):
            raise ValueError(f'{path} must have 8 bits a channel; its mode is {self._image.mode!r}. Give it as an '
                             'array.')
        self.shape = (self._image.height, self._image.width, 3)

    def read(self, rows, columns):
        box = (columns.start, rows.start, min(columns.stop, self.shape[1]), min(rows.stop, self.shape[0]))
        return np.asarray(self._image.crop(box).convert('RGB'))
