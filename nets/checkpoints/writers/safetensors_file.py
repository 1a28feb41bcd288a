"""Writes `.safetensors` files with nothing but NumPy.

The format (https://github.com/huggingface/safetensors, "Format"): the length of the header as 8 bytes, little-endian;
the header, a JSON object from name to type, shape and place of the data, filled up with blanks; the data.
"""

import json
import struct

import numpy as np

_TYPES = {'float64': 'F64', 'float32': 'F32', 'float16': 'F16', 'int64': 'I64', 'int32': 'I32'}
_ALIGNMENT = 8


def write(path, arrays, metadata=None):
    """Writes a file.

    Args:
        path: The file.
        arrays: Dict from name to array.
        metadata: Dict of strings for the header, or None.

    Returns:
        A list of the path.

    Raises:
        ValueError: An array has a type that is not written; the message names it and those that are.
        OSError: The file cannot be written.
    """
    unknown = [f'{name} ({array.dtype.name})' for name, array in arrays.items() if array.dtype.name not in _TYPES]
    if unknown:
        raise ValueError(f'Arrays must be of {", ".join(_TYPES)} to be written to {path}; got '
                         f'{", ".join(unknown[:20])}.')
    header, offset = {}, 0
    if metadata:
        header['__metadata__'] = {str(key): str(value) for key, value in metadata.items()}
    for name, array in arrays.items():
        header[name] = {'dtype': _TYPES[array.dtype.name], 'shape': list(array.shape),
                        'data_offsets': [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, ensure_ascii=False, separators=(',', ':')).encode('utf-8')
    text += b' ' * (-len(text) % _ALIGNMENT)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder('<')).tobytes())
    return [path]
