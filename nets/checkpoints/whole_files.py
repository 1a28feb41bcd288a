"""Files of weights that appear whole or not at all: written aside, then renamed."""

import contextlib
import glob
import os
import re
import shutil
import tempfile

from nets.checkpoints import preset_file

_CHECKPOINT_FILE = re.compile(r'\.(index|meta|data-\d{5}-of-\d{5})$')
_FILES = ('.weights.h5', '.safetensors')


def destination_of(path):
    """The path that a destination means: a checkpoint's prefix in place of one of its files."""
    path = _CHECKPOINT_FILE.sub('', path)
    if not os.path.basename(path) or os.path.isdir(path):
        raise ValueError(f'The destination must name a file, or the prefix of a checkpoint such as '
                         f'{os.path.join(path, "model.ckpt")}; {path} is a directory.')
    return path


def check_free(destination, overwrite):
    """Raises a ValueError if there is something at a destination, unless it may be overwritten."""
    taken = _files_of(destination)
    if taken and not overwrite:
        raise ValueError(f'{destination} is there already ({", ".join(map(os.path.basename, taken))}). Name another '
                         'destination, or allow overwriting (--force).')


@contextlib.contextmanager
def aside(destination):
    """A path to write to; what is there at the end of the context gets to the destination, and nothing on an error.

    Args:
        destination: A file, or the prefix of a checkpoint. Its directory is made if need be. What was there before, a
            preset included, is gone in the end; other files with the name of a prefix stay.

    Yields:
        A path of the same base name, in a new directory beside the destination.

    Raises:
        ValueError: Nothing can be written there.
    """
    directory, name = os.path.split(os.path.abspath(destination))
    try:
        os.makedirs(directory, exist_ok=True)
        temporary = tempfile.mkdtemp(prefix=f'.{name}.', dir=directory)
    except OSError as error:
        raise ValueError(f'{destination} cannot be written to: {error.strerror}. Name another destination.') from error
    try:
        yield os.path.join(temporary, name)
        _move(temporary, directory, destination)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move(temporary, directory, destination):
    """Renames all files of a directory; what makes a checkpoint one, its index, comes last and goes first."""
    names = sorted(os.listdir(temporary), key=lambda name: (name.endswith('.index'), name))
    for name in names:
        with open(os.path.join(temporary, name), 'rb') as file:
            os.fsync(file.fileno())
    old = {os.path.basename(path) for path in _files_of(destination)}
    for name in sorted(old, key=lambda name: not name.endswith('.index')):
        if name.endswith('.index') or (name not in names and name != os.path.basename(destination)):
            os.remove(os.path.join(directory, name))
    for name in names:
        os.replace(os.path.join(temporary, name), os.path.join(directory, name))


def _files_of(destination):
    """The files of a destination that are there."""
    candidates = [destination, preset_file.path_of(destination)]
    if not destination.endswith(_FILES):
        candidates += [destination + '.index', destination + '.meta']
        candidates += sorted(glob.glob(glob.escape(destination) + '.data-?????-of-?????'))
    return [path for path in candidates if os.path.exists(path)]
