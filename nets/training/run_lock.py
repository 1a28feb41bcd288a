"""One training process at a time in a directory."""

import contextlib
import fcntl
import os


@contextlib.contextmanager
def held(train_dir):
    """Locks a directory for this process; the lock ends with the process, however that ends.

    Args:
        train_dir: An existing directory. No file is made in it.

    Raises:
        ValueError: Another process trains there.
    """
    directory = os.open(train_dir, os.O_RDONLY)
    try:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f'Another process is training in --train_dir={train_dir}. Wait for it, end it, or name '
                             'another directory.') from error
        yield
    finally:
        os.close(directory)
