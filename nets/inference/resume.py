"""Rows that survive a kill: files beside the output that grow batch by batch, and become the output in one rename.

`OUTPUT.partial` is a folder of

- `call.json`: what the rows were computed with. Rows of another call are never mixed in.
- `0.rows`, `1.rows`, …: the rows of each end point one after the other, raw, all of one size.
- `journal.jsonl`: a line for each batch, written after its rows: the names of its rows, its corrupt images and their
  reasons, and a checksum of the rows of each end point. What follows the last line that is whole and whose rows are
  there and right never happened: it is cut off, and computed again.
"""

import itertools
import json
import os
import shutil
import time
import zlib

import numpy as np

from nets import atomic_file

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NAMES_SUFFIX = '.names.txt'
_CALL, _JOURNAL = 'call.json', 'journal.jsonl'
_SYNC_SECONDS = 1.0
_BLOCK_BYTES = 1 << 23


class Rows:
    """The rows of a `Partial`, for the writers of outputs.

    Attributes:
        count: int.
        shapes: dict from end point to the shape of a row.
        dtype: `np.dtype` of the rows.
    """

    def __init__(self, folder, count, shapes, dtype):
        self._folder = folder
        self.count = count
        self.shapes = shapes
        self.dtype = np.dtype(dtype)

    def names(self):
        """Yields the names of the rows, in order."""
        with open(os.path.join(self._folder, _JOURNAL), encoding='utf-8') as file:
            for line in file:
                yield from json.loads(line)['names']

    def blocks(self, end_points=None):
        """Yields some rows after the other: their names, and a dict from end point to array `[rows, …]`.

        Args:
            end_points: those to yield; None for all.
        """
        end_points = list(self.shapes if end_points is None else end_points)
        size = max(1, _BLOCK_BYTES // sum(_row_bytes(self.shapes[name], self.dtype) for name in end_points))
        order = list(self.shapes)
        files = {name: open(_rows_path(self._folder, order.index(name)), 'rb') for name in end_points}  # noqa: SIM115
        try:
            names = self.names()
            while block := list(itertools.islice(names, size)):
                yield block, {name: self._read(files[name], name, len(block)) for name in end_points}
        finally:
            for file in files.values():
                file.close()

    def _read(self, file, end_point, count):
        shape = self.shapes[end_point]
        content = file.read(count * _row_bytes(shape, self.dtype))
        return np.frombuffer(content, self.dtype).reshape((count,) + shape)


class Partial:
    """The rows computed so far; use it in a `with`.

    Attributes:
        num_images: int, how many images are done, corrupt ones included.
        num_rows: int.
        num_resumed: int, how many images were done when it was opened.
        corrupt: list of `[name, reason]`.
    """

    def __init__(self, output, call, shapes, dtype, overwrite=False):
        """Opens what an earlier run of the same call left, or begins.

        Args:
            output: str, path of the output.
            call: dict that JSON can hold: all that the rows depend on.
            shapes: dict from end point to the shape of a row.
            dtype: type of the rows.
            overwrite: bool, whether to replace an output that exists and to drop the rows of another call.

        Raises:
            ValueError: If there is an output already or there are rows of another call (without `overwrite`), another
                process is at work on it, or nothing can be written there.
        """
        self._output = os.fspath(output)
        self._folder = folder_of(self._output)
        self._shapes, self._dtype = dict(shapes), np.dtype(dtype)
        self._call = json.loads(json.dumps(dict(call, dtype=self._dtype.str, shapes=list(self._shapes.items()))))
        self._files, self._opened = [], False
        self._synced_at = time.monotonic()
        self.num_images = self.num_rows = 0
        self.corrupt = []
        check_output(self._output)
        if not os.path.exists(self._folder) and not overwrite:
            self._refuse_to_overwrite(None)
        try:
            os.makedirs(self._folder, exist_ok=True)
            self._journal = open(os.path.join(self._folder, _JOURNAL), 'a+b')  # noqa: SIM115
        except OSError as error:
            raise ValueError(f'{self._output} cannot be written to: {error.strerror}. Name another output.') from error
        try:
            self._open(overwrite)
        except BaseException:
            self.close()
            raise
        self.num_resumed = self.num_images

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Keeps what there is for the next run; a folder without rows is removed."""
        if self._opened and not self.num_rows:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._opened = False
        for file in [*self._files, self._journal]:
            file.close()

    def append(self, names, corrupt, rows):
        """Adds what came of a batch.

        Args:
            names: list of str, one for each row.
            corrupt: list of pairs of str: the name of an image, and why it has no row.
            rows: dict from end point to array `[rows, …]`.
        """
        checksums = []
        for name, file in zip(self._shapes, self._files, strict=True):
            array = np.ascontiguousarray(rows[name], self._dtype)
            if array.shape != (len(names),) + self._shapes[name]:
                raise ValueError(f'Rows at {name!r} must be {len(names)} of shape {list(self._shapes[name])}; got an '
                                 f'array of shape {list(array.shape)}.')
            content = array.tobytes()
            checksums.append(zlib.crc32(content))
            file.write(content)
            file.flush()
        line = {'names': list(names), 'corrupt': [list(pair) for pair in corrupt], 'crc32': checksums}
        self._journal.write(json.dumps(line).encode() + b'\n')
        self._journal.flush()
        self._count(line)
        if time.monotonic() - self._synced_at > _SYNC_SECONDS:
            self._sync()

    def finish(self, write):
        """Makes the output of all rows, in one rename, and removes the folder.

        Args:
            write: function of a path and `Rows` that writes a file there, and may write one of that name and
                `NAMES_SUFFIX` for the names.
        """
        self._sync()
        temporary = os.path.join(self._folder, 'output' + os.path.splitext(self._output)[1])
        write(temporary, Rows(self._folder, self.num_rows, self._shapes, self._dtype))
        with open(temporary, 'rb') as file:
            os.fsync(file.fileno())
        if os.path.exists(temporary + NAMES_SUFFIX):
            os.replace(temporary + NAMES_SUFFIX, self._output + NAMES_SUFFIX)
        os.replace(temporary, self._output)
        # Renamed before it is removed: a kill in between leaves either all of the rows or none.
        os.replace(self._folder, _garbage(self._output))
        self._opened = False
        self.close()
        shutil.rmtree(_garbage(self._output), ignore_errors=True)

    def _open(self, overwrite):
        if fcntl:
            try:
                fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f'Another process is writing {self._output}; wait for it.') from None
        shutil.rmtree(_garbage(self._output), ignore_errors=True)
        old = _read_call(self._folder)
        if old != self._call:
            if not overwrite:
                self._refuse_to_overwrite(old)
            self._journal.truncate(0)
            _write_call(self._folder, self._call)
        self._files = [open(_rows_path(self._folder, number), 'a+b')  # noqa: SIM115
                       for number in range(len(self._shapes))]
        self._recover()
        self._opened = True

    def _refuse_to_overwrite(self, old):
        """Raises a ValueError unless there is nothing to lose."""
        if old is not None and os.path.getsize(os.path.join(self._folder, _JOURNAL)):
            keys = [key for key in sorted({*old, *self._call}) if old.get(key) != self._call.get(key)]
            raise ValueError(
                f'{self._folder} holds rows of another call, with other {", ".join(keys)}. Repeat that call to go on, '
                'remove the folder, or drop its rows by --overwrite.')
        if os.path.exists(self._output):
            raise ValueError(f'There is already a file {self._output}. Name another one, or replace it by --overwrite.')

    def _recover(self):
        """Counts the lines of the journal whose rows are right, and cuts off what follows."""
        self._journal.seek(0)
        kept = 0
        for file in self._files:
            file.seek(0)
        for content in self._journal:
            line = _parsed(content)
            if line is None or not self._rows_are_right(line):
                break
            kept += len(content)
            self._count(line)
        self._journal.truncate(kept)
        for file, shape in zip(self._files, self._shapes.values(), strict=True):
            file.truncate(self.num_rows * _row_bytes(shape, self._dtype))
        self._sync()

    def _rows_are_right(self, line):
        for file, shape, checksum in zip(self._files, self._shapes.values(), line['crc32'], strict=True):
            size = len(line['names']) * _row_bytes(shape, self._dtype)
            content = file.read(size)
            if len(content) != size or zlib.crc32(content) != checksum:
                return False
        return True

    def _count(self, line):
        self.num_images += len(line['names']) + len(line['corrupt'])
        self.num_rows += len(line['names'])
        self.corrupt += line['corrupt']

    def _sync(self):
        for file in [*self._files, self._journal]:
            file.flush()
            os.fsync(file.fileno())
        self._synced_at = time.monotonic()


def folder_of(output):
    """The folder of the rows of an output that is not finished."""
    return os.fspath(output) + '.partial'


def check_output(output):
    """Raises a ValueError if there cannot be a file of that name."""
    parent = os.path.dirname(os.path.abspath(output))
    if not os.path.isdir(parent):
        raise ValueError(f'{output} cannot be written to: there is no folder {parent}. Make it, or name '
                         'another output.')
    if os.path.isdir(output):
        raise ValueError(f'{output} cannot be written to: it is a folder. Name a file.')


def _garbage(output):
    return output + '.done'


def _rows_path(folder, number):
    return os.path.join(folder, f'{number}.rows')


def _row_bytes(shape, dtype):
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize


def _parsed(content):
    """A line of the journal; None if it is not whole."""
    try:
        return json.loads(content) if content.endswith(b'\n') else None
    except ValueError:
        return None


def _read_call(folder):
    try:
        with open(os.path.join(folder, _CALL), encoding='utf-8') as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return None


def _write_call(folder, call):
    with atomic_file.writing(os.path.join(folder, _CALL)) as file:
        json.dump(call, file)
