"""Files that appear whole or not at all."""

import contextlib
import os


@contextlib.contextmanager
def writing(path, mode='w', **kwargs):
    """Opens a file such that readers see the old one or the whole new one, even after a crash.

    Args:
        path: The file; its directory must exist.
        mode: 'w' for text in UTF-8, 'wb' for bytes.
        **kwargs: Other arguments of `open`.

    Yields:
        A file to write to, beside `path`. It gets its name when the context ends, and is gone after an error.

    Raises:
        OSError: The file cannot be written.
    """
    temporary = f'{path}.{os.getpid()}.tmp'
    try:
        with open(temporary, mode, encoding=None if 'b' in mode else 'utf-8', **kwargs) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)
