"""Files of features, one module for each kind; a table by ending.

Each module has `write(path, rows)`, where `rows` is a `nets.inference.resume.Rows`, and `check(end_points)`, which
raises an error, before anything is computed, where it cannot write them. Memory does not depend on the number of rows.
"""

import importlib
import os

_MODULES = {'.npy': 'npy', '.npz': 'npz', '.h5': 'hdf5', '.hdf5': 'hdf5', '.tfrecord': 'tfrecord',
            '.parquet': 'parquet'}
SUFFIXES = tuple(_MODULES)


def writer(path, end_points):
    """The function that writes a file of that ending.

    Args:
        path: str.
        end_points: names of the end points.

    Returns:
        A function of a path and a `nets.inference.resume.Rows`.

    Raises:
        ValueError: If the ending is unknown, or such a file cannot hold these end points.
        ImportError: If a package is missing; the message names the one to install.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _MODULES:
        raise ValueError(f'The output must end in one of {", ".join(SUFFIXES)}; got {path!r}.')
    module = importlib.import_module(f'{__name__}.{_MODULES[suffix]}')
    module.check(list(end_points))
    return module.write
