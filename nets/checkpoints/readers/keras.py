"""Reads the files of Keras; `nets.checkpoints.keras_h5` does the work."""

import collections
import io
import json
import os
import re
import tempfile
import zipfile

from nets.checkpoints import hdf5_heaps, hdf5_trial, keras_h5
from nets.checkpoints.readers import base

WEIGHTS_IN_ZIP = 'model.weights.h5'
_CONFIG_IN_ZIP = 'config.json'
_ERRORS = (zipfile.BadZipFile, OSError, KeyError, IndexError, RuntimeError, TypeError, ValueError, AttributeError,
           MemoryError, NotImplementedError, EOFError)
# Of optimizers, by the path within their group: Keras 2, Keras 3.
_STEPS = ('iteration', 'iter', 'iterations', 'vars/0')


def open_hdf5(path):
    """Opens the HDF5 files of Keras 1 to 3.

    Args:
        path: The file.

    Returns:
        A `base.Weights` with names such as `conv1_conv/kernel`. All of it is read at once.

    Raises:
        ValueError: The file is damaged or incomplete, or not Keras'.
    """
    if _has_names_in_attributes(path):
        hdf5_trial.check(path)
    return _read_hdf5(path)


def open_zip(path):
    """Opens a `.keras` file.

    Args:
        path: The file.

    Returns:
        A `base.Weights` with names such as `conv1_conv/kernel`. All of it is read at once.

    Raises:
        ValueError: The file is damaged or incomplete, or its layers have no names.
    """
    hdf5_trial.check(path)
    return _read_zip(path)


def read(path):
    """Opens a file of either kind as it is, which may crash the process."""
    return (_read_zip if zipfile.is_zipfile(path) else _read_hdf5)(path)


def _has_names_in_attributes(path):
    """Whether it is a file of Keras 3. In those before, attributes are not read."""
    import h5py
    try:
        with h5py.File(path, 'r') as file:
            return 'layers' in file
    except _ERRORS:
        return False


def _read_hdf5(path):
    arrays = keras_h5.read(path)
    import h5py
    try:
        with h5py.File(path, 'r') as file:
            return base.Arrays('Keras weights.h5' if 'layers' in file else 'Keras HDF5', path, arrays,
                               **_optimizer(file))
    except _ERRORS as error:
        raise base.damaged(path, 'Keras HDF5', error) from error


def _read_zip(path):
    import h5py
    try:
        with zipfile.ZipFile(path) as archive:
            content = io.BytesIO(archive.read(WEIGHTS_IN_ZIP))
            config = json.loads(archive.read(_CONFIG_IN_ZIP))
        hdf5_heaps.check(content.getvalue())
        with h5py.File(content, 'r') as file:
            extra = _optimizer(file)
            named = not _nameless(file)
    except _ERRORS as error:
        raise base.damaged(path, 'keras', error) from error
    return base.Arrays('keras', path, keras_h5.read(path) if named else _read_nameless(path, content, config), **extra)


def _optimizer(file):
    """What a file says of the optimizer's state."""
    import h5py
    groups = [file[name] for name in ('optimizer', 'optimizer_weights') if name in file]
    if not groups:
        return {}
    found = {}
    groups[0].visititems(lambda path, node: found.setdefault(path, node) and None)
    datasets = {path: node for path, node in found.items() if isinstance(node, h5py.Dataset)}
    steps = [int(node[()]) for path, node in datasets.items()
             if node.shape == () and node.dtype.kind in 'iu'
             and path.split(':')[0].endswith(tuple('/' + end for end in _STEPS) + _STEPS)]
    # One that was compiled and never trained has a counter and a rate, which are no state.
    return {'step': steps[0] if steps else None, 'has_optimizer': any(node.ndim for node in datasets.values())}


def _nameless(file):
    """The groups of layers with weights that do not say their names, as those before Keras 3.6 do not."""
    paths = []
    if 'layers' in file:
        for layer, group in file['layers'].items():
            if 'vars' in group and len(group['vars']) and 'name' not in group['vars'].attrs:
                paths.append(layer)
    return paths


def _read_nameless(path, content, config):
    """Reads weights whose layers have their names in the model's configuration only.

    Keras numbers the layers of a kind in the order of the configuration: `conv2d`, `conv2d_1` and so on.
    """
    import h5py
    try:
        names, seen = {}, collections.Counter()
        for layer in config['config']['layers']:
            kind = _snake_case(layer['class_name'])
            names[f'{kind}_{seen[kind]}' if seen[kind] else kind] = layer['config']['name']
            seen[kind] += 1
        with h5py.File(content, 'r+') as file:
            for layer in _nameless(file):
                file['layers'][layer]['vars'].attrs['name'] = names[layer]
        with tempfile.TemporaryDirectory() as directory:
            named = os.path.join(directory, WEIGHTS_IN_ZIP)
            with open(named, 'wb') as file:
                file.write(content.getbuffer())
            return keras_h5.read(named)
    except _ERRORS as error:
        raise base.damaged(path, 'keras', error) from error


def _snake_case(name):
    """The name of a class as Keras makes names of layers from it: BatchNormalization, batch_normalization."""
    name = re.sub(r'(.)([A-Z][a-z]+)', r'\1_\2', re.sub(r'\W', '', name))
    return re.sub(r'([a-z])([A-Z])', r'\1_\2', name).lower()
