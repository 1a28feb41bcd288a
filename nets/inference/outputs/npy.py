"""NumPy's `.npy`: the array of one end point. The file names are beside it in `OUTPUT.npy.names.txt`, one a line."""

from nets.inference import resume
from nets.inference.outputs import npz

_NEWLINES = str.maketrans({'\n': '\\n', '\r': '\\r'})


def check(end_points):
    if len(end_points) != 1:
        raise ValueError(f'A file .npy holds one end point; got {len(end_points)}: {", ".join(end_points)}. Use .npz.')


def write(path, rows):
    (end_point, shape), = rows.shapes.items()
    with open(path, 'wb') as file:
        npz.write_header(file, (rows.count,) + shape, rows.dtype)
        for _, arrays in rows.blocks():
            file.write(arrays[end_point])
    with open(path + resume.NAMES_SUFFIX, 'w', encoding='utf-8', errors='surrogateescape', newline='\n') as file:
        file.writelines(name.translate(_NEWLINES) + '\n' for name in rows.names())
