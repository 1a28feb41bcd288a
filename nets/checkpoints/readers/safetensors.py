"""Reads `.safetensors` files. They have no checksums: damage within an array cannot be seen."""

from nets.checkpoints.readers import base

_KIND = 'safetensors'
_TYPES = {'F64': 'float64', 'F32': 'float32', 'F16': 'float16', 'BF16': 'bfloat16', 'I64': 'int64', 'I32': 'int32',
          'I16': 'int16', 'I8': 'int8', 'U64': 'uint64', 'U32': 'uint32', 'U16': 'uint16', 'U8': 'uint8',
          'BOOL': 'bool'}


class _SafeTensors(base.Weights):
    """See `open_safetensors`."""

    def __init__(self, path, file, shapes):
        super().__init__(_KIND, path, [path], shapes)
        self._file = file

    def _read(self, name):
        try:
            return self._file.get_tensor(name)
        except Exception as error:  # the package's own errors have no common public class
            raise base.damaged(self.path, _KIND, error) from error

    def close(self):
        self._file = None


def open_safetensors(path):
    """Opens a file of safetensors, in the order in which the arrays lie in it.

    Args:
        path: The file.

    Returns:
        A `base.Weights`.

    Raises:
        ValueError: The file is damaged or incomplete, or holds a type that NumPy does not have.
        ImportError: The package safetensors is not installed.
    """
    try:
        import safetensors
    except ImportError:
        raise base.missing_package(path, 'safetensors', 'safetensors', 'safetensors') from None
    try:
        import ml_dtypes  # noqa: F401  lets NumPy know bfloat16; TensorFlow brings it
        file = safetensors.safe_open(path, framework='numpy')
        slices = {name: file.get_slice(name) for name in _in_order(file)}
        types = {name: part.get_dtype() for name, part in slices.items()}
    except Exception as error:  # as above
        raise base.damaged(path, _KIND, error) from error
    unknown = sorted(set(types.values()) - set(_TYPES))
    if unknown:
        raise ValueError(f'{path} holds the types {", ".join(unknown)}; only {", ".join(_TYPES)} can be read.')
    return _SafeTensors(path, file, ((name, (tuple(part.get_shape()), _TYPES[types[name]]))
                                     for name, part in slices.items()))


def _in_order(file):
    return file.offset_keys() if hasattr(file, 'offset_keys') else file.keys()
