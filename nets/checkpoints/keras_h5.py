"""Reads the weights out of the files that Keras writes, without Keras.

Three kinds: legacy HDF5 (`model.save_weights('x.h5')` of Keras 1 and 2, `model.save('x.h5')`, and the published weights
of Keras Applications), the `.weights.h5` of Keras 3, and its `.keras`, a zip file around one of these.
"""

import collections
import io
import os
import zipfile
import zlib

import numpy as np

from nets.checkpoints import hdf5_heaps

_WEIGHTS_IN_ZIP = 'model.weights.h5'
# Keras 3 numbers the weights of a layer, in the order in which the layer makes them.
_ORDERS = {'batch_normalization': ('gamma', 'beta', 'moving_mean', 'moving_variance')}
_OTHER_ORDER = ('kernel', 'bias')

# What h5py and zipfile raise, depending on the place of the damage.
_READ_ERRORS = (OSError, LookupError, RuntimeError, TypeError, ValueError, AttributeError, MemoryError, EOFError,
                zipfile.BadZipFile, zlib.error)


def is_keras_file(path):
    """Whether a path names a file of one of these kinds: by its ending, or by how the file begins.

    Args:
        path: A path; there may be nothing.

    Returns:
        A bool.
    """
    if str(path).endswith(('.h5', '.hdf5', '.keras')):
        return True
    try:
        with open(path, 'rb') as file:
            return file.read(8) == b'\x89HDF\r\n\x1a\n'
    except OSError:
        return False


def read(path):
    """Reads all weights of a file.

    Args:
        path: The file.

    Returns:
        An ordered dict from `layer/weight`, such as `conv1_conv/kernel`, to array. The layers of a model within a model
        are as those outside of it.

    Raises:
        ValueError: There is no such file, it is damaged or incomplete, or none of these kinds.
    """
    import h5py  # comes with TensorFlow; slow to import
    path = os.fspath(path)
    try:
        source = _checked(path)
        with h5py.File(source, 'r') as file:
            group = file.get('model_weights', file)
            arrays = (_read_numbered if 'layers' in group else _read_legacy)(group, h5py.Group)
            if not arrays:
                raise KeyError('it holds no layer with weights')
    except FileNotFoundError:
        raise ValueError(f'There is no file {path}.') from None
    except _READ_ERRORS as error:
        reason = ' '.join(str(error).strip('\'"').split())
        raise ValueError(f'The file {path} cannot be read; it is damaged, incomplete, or no file of weights that Keras '
                         f'wrote (.h5, .weights.h5 or .keras). Copy it again or use another one. The reason: {reason}'
                         ) from error
    return arrays


def _checked(path):
    """What h5py can open, after a check of what it must not read damaged."""
    if not zipfile.is_zipfile(path):
        hdf5_heaps.check_file(path)
        return path
    with zipfile.ZipFile(path) as archive:
        content = archive.read(_WEIGHTS_IN_ZIP)
    hdf5_heaps.check(content)
    return io.BytesIO(content)


def _read_legacy(group, group_type):
    """Each layer is a group, in which weights lie under their own names.

    The same names are in attributes, too. Those are not read: where they are damaged, HDF5 may take for ever.
    """
    arrays = collections.OrderedDict()
    for layer, node in group.items():
        datasets = []
        if isinstance(node, group_type):
            node.visititems(lambda path, item, found=datasets: found.append((path, item)))
        split = [(path.split(':')[0].rsplit('/', 2), item) for path, item in datasets
                 if not isinstance(item, group_type)]
        # A layer's weights are in one scope, which TensorFlow may have numbered; a model has its layers' scopes.
        nested = len({tuple(parts[-2:-1]) for parts, _ in split}) > 1
        for parts, item in split:
            inner = parts[-2] if nested and len(parts) > 1 else layer
            weight = parts[-1]
            if weight.startswith(inner + '_'):  # Keras 1: conv1_W
                weight = weight[len(inner) + 1:]
            _add(arrays, f'{inner}/{weight}', item)
    return arrays


def _read_numbered(group, group_type):
    """Layers are groups that end in `vars`, with the layer's name as attribute; weights have numbers there."""
    arrays = collections.OrderedDict()

    def visit(path, node):
        if not isinstance(node, group_type) or path.rsplit('/', 1)[-1] != 'vars' or not len(node):
            return
        layer = node.attrs.get('name')
        if layer is None:
            raise KeyError(f'{path} does not say the name of its layer, as files of early Keras 3 do not; load it with '
                           'Keras and save it as .h5')
        order = _ORDERS.get(path.split('/')[-2].rstrip('0123456789_'), _OTHER_ORDER)
        for number in sorted(node):
            weight = order[int(number)] if number.isdigit() and int(number) < len(order) else number
            _add(arrays, f'{layer}/{weight}', node[number])

    group['layers'].visititems(visit)
    return arrays


def _add(arrays, name, dataset):
    if name in arrays:
        raise KeyError(f'it has two weights of the name {name}')
    arrays[name] = np.asarray(dataset)
