"""Reads `.npz` files of NumPy."""

import collections
import zipfile
import zlib

import numpy as np

from nets.checkpoints.readers import base

_KIND = 'npz'
_ERRORS = (zipfile.BadZipFile, OSError, ValueError, EOFError, KeyError, NotImplementedError, OverflowError,
           MemoryError, RuntimeError, SyntaxError, UnicodeDecodeError, zlib.error)


class _Npz(base.Weights):
    """See `open_npz`."""

    def __init__(self, path, archive, shapes):
        super().__init__(_KIND, path, [path], shapes, _step(archive, path, shapes))
        self._archive = archive

    def _read(self, name):
        return _array(self._archive, self.path, name)

    def close(self):
        self._archive.close()


def open_npz(path):
    """Opens a file that `numpy.savez` wrote. Pickled objects are not loaded.

    Args:
        path: The file.

    Returns:
        A `base.Weights`.

    Raises:
        ValueError: The file is damaged or incomplete, or holds objects.
    """
    try:
        archive = zipfile.ZipFile(path)
    except _ERRORS as error:
        raise base.damaged(path, _KIND, error) from error
    try:
        shapes = collections.OrderedDict(
            (entry[:-len('.npy')], _shape(archive, entry)) for entry in archive.namelist())
        return _Npz(path, archive, shapes)
    except _ERRORS as error:
        archive.close()
        raise base.damaged(path, _KIND, error) from error


def _shape(archive, entry):
    """Shape and type from the header of an array."""
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(f'{entry} holds Python objects, which are never loaded')
    held = archive.getinfo(entry).file_size
    if int(np.prod(shape, dtype=object)) * dtype.itemsize > held:
        raise ValueError(f'{entry} announces {dtype.name} {list(shape)}, more than its {held} bytes')
    return tuple(int(size) for size in shape), dtype.name


def _array(archive, path, name):
    try:
        with archive.open(name + '.npy') as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):  # the end is where the checksum is compared
                raise ValueError(f'there is more than an array in {name}.npy')
        return array
    except _ERRORS as error:
        raise base.damaged(path, _KIND, error) from error


def _step(archive, path, shapes):
    is_step = shapes.get('global_step', (None, ''))[0] == () and shapes['global_step'][1].startswith('int')
    return int(_array(archive, path, 'global_step')) if is_step else None
