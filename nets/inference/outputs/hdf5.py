"""HDF5: a dataset for each end point, with dots for the slashes in its name, and `names`, the file names in UTF-8.

A slash would make a group, and one end point's name may be the beginning of another's.
"""

import os


def check(end_points):
    names = [dataset_name(end_point) for end_point in end_points]
    if 'names' in names or len(set(names)) < len(names):
        raise ValueError(f'HDF5 cannot tell these end points apart from each other and from the file names: '
                         f'{", ".join(end_points)}.')
    _import()


def dataset_name(end_point):
    """The name of an end point's dataset."""
    return end_point.replace('/', '.')


def write(path, rows):
    h5py = _import()
    with h5py.File(path, 'w') as file:
        names = file.create_dataset('names', (rows.count,), h5py.string_dtype('utf-8'))
        features = {}
        for end_point, shape in rows.shapes.items():
            features[end_point] = file.create_dataset(dataset_name(end_point), (rows.count,) + shape, rows.dtype)
            features[end_point].attrs['end_point'] = end_point
        first = 0
        for block, arrays in rows.blocks():
            last = first + len(block)
            names[first:last] = [os.fsencode(name) for name in block]
            for end_point, array in arrays.items():
                features[end_point][first:last] = array
            first = last


def _import():
    try:
        import h5py
    except ImportError as error:
        raise ImportError("HDF5 files need h5py, which comes with TensorFlow; run: pip install h5py") from error
    return h5py
