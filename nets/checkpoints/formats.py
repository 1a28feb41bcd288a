"""One way to open any file of weights: what it is, is told by its content, never by its name.

    with formats.open_weights('resnet50.pth') as weights:
        for name, (shape, dtype) in weights.shapes.items():
            array = weights.read(name)
"""

import os
import struct
import zipfile

from nets.checkpoints import tensorflow_files
from nets.checkpoints.readers import base, keras, npz, safetensors, tensorflow, torch

# How files begin or, in a table of TensorFlow's, end.
_HDF5 = b'\x89HDF\r\n\x1a\n'
_ZIP = b'PK\x03\x04'
_TABLE_END = struct.pack('<Q', 0xdb4775248b80fb57)
# Before torch 1.6 a file began with a pickle of this number, after the protocol's two bytes.
_TORCH = b'\x8a\n' + (0x1950a86a20f9469cfc6c).to_bytes(10, 'little')

_KNOWN = ('a TensorFlow checkpoint (V1 or V2), a SavedModel, a file of Keras (.h5, .weights.h5, .keras), a state dict '
          'of torch (.pth, .pt), .safetensors or .npz')


def open_weights(path, ema=False):
    """Opens a file of weights.

    Args:
        path: A file; the prefix or directory of a TensorFlow checkpoint; or the directory of a SavedModel.
        ema: Whether to take the moving averages of a torch file that holds weights and averages side by side.
            TensorFlow's averages have names of their own and are all there.

    Returns:
        A `readers.base.Weights`. Close it, or use it in a `with` statement.

    Raises:
        ValueError: There is no such file, it is of no known format, damaged or incomplete.
        ImportError: It needs an optional package; the message says which.
    """
    path = os.fspath(path)
    if tensorflow.is_saved_model(path):
        return _plain(tensorflow.open_saved_model)(path, ema)
    if not os.path.isfile(path) or path != tensorflow_files.prefix_of(path):
        return _plain(tensorflow.open_checkpoint)(tensorflow_files.find_checkpoint(path), ema)
    return _reader(path)(path, **({'ema': True} if ema else {}))


def _reader(path):
    """The function that opens a file; each takes its path, and `ema` if it can."""
    try:
        with open(path, 'rb') as file:
            head = file.read(64)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 8))
            tail = file.read(8)
    except OSError as error:
        raise ValueError(f'{path} cannot be read: {error.strerror or error}.') from None
    if not size:
        raise ValueError(f'{path} is empty; it should be {_KNOWN}. Copy it again.')
    if head.startswith(_HDF5):
        return _plain(keras.open_hdf5)
    if head.startswith(_ZIP):
        return _zip_reader(path)
    if tail == _TABLE_END:
        return _plain(tensorflow.open_checkpoint)
    if head[:1] == b'\x80' and _TORCH in head:
        return torch.open_torch
    if size > 8 and head[8:9] == b'{' and struct.unpack('<Q', head[:8])[0] < 10 ** 8:
        return _plain(safetensors.open_safetensors)
    raise ValueError(f'{path} cannot be read; it is damaged, incomplete, or none of these: {_KNOWN}. Copy it again or '
                     'use another one.')


def _zip_reader(path):
    """The function that opens a zip file, by what is in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, OverflowError, struct.error) as error:
        raise base.damaged(path, 'a zip file (.pth, .keras or .npz)', error) from error
    if keras.WEIGHTS_IN_ZIP in names:
        return _plain(keras.open_zip)
    if any(name.endswith('/data.pkl') for name in names):
        return torch.open_torch
    if names and all(name.endswith('.npy') for name in names):
        return _plain(npz.open_npz)
    raise ValueError(f'{path} is a zip file without weights; it holds {", ".join(names[:5]) or "nothing"}. What can be '
                     f'read is {_KNOWN}.')


def _plain(open_fn):
    """A reader of a format that has no averages beside the weights."""
    def open_plain(path, ema=False):
        if ema:
            raise ValueError(f'{path} has no averages to choose by ema=True; only files of torch have. Those of '
                             'TensorFlow are read by their names.')
        return open_fn(path)
    return open_plain
