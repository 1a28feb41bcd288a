"""What all readers have in common."""

import collections


class Weights:
    """An open file of weights; a context manager.

    Attributes:
        format: What it is, such as 'tensorflow V2' or 'safetensors'.
        path: Where it is: a path, or the prefix of a TensorFlow checkpoint.
        files: Paths of all files that it is made of.
        step: The step at which it was written, an int, or None if it does not say.
        shapes: Ordered dict from name to (shape as a tuple of ints, name of the type as NumPy has it).
        has_optimizer: Whether it says that it holds the state of an optimizer beside the weights.
        has_averages: Whether it says that it holds moving averages beside the weights.
    """

    def __init__(self, format_, path, files, shapes, step=None, has_optimizer=False, has_averages=False):
        self.format = format_
        self.path = path
        self.files = list(files)
        self.step = step
        self.shapes = collections.OrderedDict(shapes)
        self.has_optimizer = has_optimizer
        self.has_averages = has_averages

    def read(self, name):
        """Reads one array.

        Args:
            name: A key of `shapes`.

        Returns:
            A NumPy array of that shape and type.

        Raises:
            ValueError: There is no such name, or the file is damaged.
        """
        if name not in self.shapes:
            raise ValueError('{} holds no {!r}; it holds {}.'.format(self.path, name, _some(self.shapes)))
        array = self._read(name)
        shape, dtype = self.shapes[name]
        if tuple(array.shape) != shape or array.dtype.name != dtype:
            raise damaged(self.path, self.format, '{} is {} {} where {} {} was announced'.format(
                name, array.dtype.name, list(array.shape), dtype, list(shape)))
        return array

    def close(self):
        """Closes the file; it may be closed already."""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _read(self, name):
        raise NotImplementedError


class Arrays(Weights):
    """Weights that were read when the file was opened.

    Args:
        format_: See `Weights`; likewise the others.
        path: The file.
        arrays: Ordered dict from name to array.
    """

    def __init__(self, format_, path, arrays, **kwargs):
        super().__init__(format_, path, [path], ((name, (tuple(array.shape), array.dtype.name))
                                                 for name, array in arrays.items()), **kwargs)
        self._arrays = arrays

    def _read(self, name):
        return self._arrays[name]


def damaged(path, kind, reason):
    """The error for a file of a known kind that cannot be read.

    Args:
        path: The file.
        kind: What it is, or seems to be.
        reason: What is wrong: a text, or an exception. Only its first line is told.

    Returns:
        A `ValueError`.
    """
    lines = [' '.join(line.split()) for line in str(reason).strip('\'"').split('\n')]
    first = next((line for line in lines if line), None) or type(reason).__name__
    return ValueError('The file {} cannot be read as {}; it is damaged or incomplete. Copy it again or use another '
                      'one. The reason: {}'.format(path, kind, first[:300].rstrip('.') + '.'))


def missing_package(path, kind, package, extra):
    """The error for a file that needs an optional package."""
    return ImportError('{} is a file of {}; to read it, install {}: pip install \'tf1-nets[{}]\''.format(
        path, kind, package, extra))


def _some(names):
    names = list(names)
    return ', '.join(names[:5]) + (', … ({} in all)'.format(len(names)) if len(names) > 5 else '') or 'nothing'
