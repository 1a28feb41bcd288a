"""NumPy's `.npz`: an array for each end point, and `names`, the file names."""

import zipfile

import numpy as np

# So that the same rows make the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


def check(end_points):
    if 'names' in end_points:
        raise ValueError("The end point 'names' has the name of the array of file names; write it to another kind.")


def write(path, rows):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED, allowZip64=True) as archive:
        width = max((len(name) for name in rows.names()), default=1)
        dtype = np.dtype(f'<U{max(width, 1)}')
        with _member(archive, 'names') as file:
            write_header(file, (rows.count,), dtype)
            for name in rows.names():
                file.write(np.array(name, dtype).tobytes())
        for end_point, shape in rows.shapes.items():
            with _member(archive, end_point) as file:
                write_header(file, (rows.count,) + shape, rows.dtype)
                for _, arrays in rows.blocks([end_point]):
                    file.write(arrays[end_point])


def write_header(file, shape, dtype):
    """Writes what a `.npy` file begins with."""
    np.lib.format.write_array_header_2_0(
        file, {'descr': np.lib.format.dtype_to_descr(dtype), 'fortran_order': False, 'shape': shape})


def _member(archive, name):
    return archive.open(zipfile.ZipInfo(name + '.npy', _DATE), 'w', force_zip64=True)
