"""Where encoded examples come from: tables in memory, image files, TFRecord files. Any example, at any time.

A `Source` has rows, one for each example, that say where the example is; they are looked up many at a time. Loading a
row gives the example: a dict of `encoded` (string scalar), `label` (int64 scalar; of segmentations see
`nets.data.segmentation.datasets`) and `name` (string scalar).
"""

import bisect
import dataclasses
import itertools
import os
from collections.abc import Callable

import numpy as np
import tensorflow.compat.v1 as tf

from nets.data import open_sessions, records

# Looking rows up one by one would cost a Python call for each.
_LOOKUP_SIZE = 64
_READERS = 4


@dataclasses.dataclass(frozen=True)
class Source:
    """Examples by number.

    Attributes:
        num_examples: int.
        lookup: a function from int64 `[n]`, the numbers of examples, to a dict of tensors `[n]`, with the key `name`
            among others: the rows.
        load: a function from a row, a dict of scalars, to the example. Running it raises an `OpError` if the example
            cannot be read.
    """

    num_examples: int
    lookup: Callable
    load: Callable

    @tf.autograph.experimental.do_not_convert
    def rows(self, numbers):
        """A `tf.data.Dataset` of the rows of examples, by a `tf.data.Dataset` of their numbers, int64 scalars."""
        return numbers.batch(_LOOKUP_SIZE).map(self.lookup).unbatch()

    @tf.autograph.experimental.do_not_convert
    def examples(self, start=0):
        """A `tf.data.Dataset` of every example once and in order, from the number `start` on."""
        rows = self.rows(tf.data.Dataset.range(start, self.num_examples))
        return rows.map(self.load, num_parallel_calls=_READERS, deterministic=True)

    @tf.autograph.experimental.do_not_convert
    def read(self, row):
        """Reads one example now, in Python.

        Args:
            row: a dict of NumPy scalars and bytes.

        Returns:
            The example, a dict of values.

        Raises:
            tf.errors.OpError: If it cannot be read.
        """
        with tf.Graph().as_default(), tf.Session() as session:
            return session.run(self.load({key: tf.constant(value) for key, value in row.items()}))


def from_table(names, labels, encoded=None):
    """Makes a source of examples that are listed in memory.

    Args:
        names: list of bytes or str, one for each example; the paths of the image files when `encoded` is
            None.
        labels: list of ints.
        encoded: list of bytes (whole image files) or None, where the files are read when their turn comes.

    Returns:
        A `Source`.
    """
    columns = {'name': strings(names), 'label': np.array(labels, np.int64)}
    if encoded is not None:
        columns['encoded'] = np.array(encoded, object)

    def read(row):
        return dict(row, encoded=tf.io.read_file(row['name']))

    return from_columns(columns, dict if encoded is not None else read)


def strings(values):
    """A column of str or bytes, in file names' encoding."""
    return np.array([os.fsencode(value) for value in values], object)


def from_columns(columns, load):
    """Makes a source of rows in memory.

    Args:
        columns: dict from the keys of a row to arrays of int64 or of bytes, one value for each example; one is `name`.
        load: see `Source`.

    Returns:
        A `Source`.
    """
    lookup = _lookup(lambda numbers: [column[numbers] for column in columns.values()],
                     {key: tf.string if column.dtype == object else tf.as_dtype(column.dtype)
                      for key, column in columns.items()})
    return Source(len(columns['name']), lookup, load)


def from_records(paths, parse=records.parse_example):
    """Makes a source of the examples in TFRecord files of slim's schema, or of another.

    Args:
        paths: list of str, in the order in which their examples are numbered.
        parse: a function from a record to a dict with the keys `encoded`, `label` and `filename`.

    Returns:
        A `Source`. The name of an example is its `image/filename`, or `PATH#INDEX` where the record has none; that of
        a row is always `PATH#INDEX`.

    Raises:
        ValueError: If a file ends in the middle of a record.
    """
    offsets = [records.record_offsets(path) for path in paths]
    ends = list(itertools.accumulate(map(len, offsets)))

    def row(number):
        file = bisect.bisect_right(ends, number)
        index = number - (ends[file] - len(offsets[file]))
        return os.fsencode(f'{paths[file]}#{index}'), os.fsencode(paths[file]), offsets[file][index]

    def rows(numbers):
        names, files, starts = zip(*map(row, numbers))
        return [np.array(names, object), np.array(files, object), np.array(starts, np.int64)]

    def load(row):
        parsed = parse(records.read_at(row['path'], row['offset']))
        name = tf.where(tf.equal(parsed['filename'], ''), row['name'], parsed['filename'])
        return {'encoded': parsed['encoded'], 'label': parsed['label'], 'name': name}

    lookup = _lookup(rows, {'name': tf.string, 'path': tf.string, 'offset': tf.int64})
    return Source(sum(map(len, offsets)), lookup, load)


def in_memory(source):
    """Reads a source as a whole, so that its files are not needed any more.

    Args:
        source: `Source`.

    Returns:
        A `Source` that holds all examples in memory.

    Raises:
        ValueError: If an example cannot be read.
    """
    with tf.Graph().as_default(), tf.Session() as session:
        example = tf.data.make_one_shot_iterator(source.examples()).get_next()
        examples = []
        try:
            while True:
                examples.append(session.run(example))
        except tf.errors.OutOfRangeError:
            pass
    return from_columns({key: np.array([one[key] for one in examples],
                                       object if tensor.dtype == tf.string else np.int64)
                         for key, tensor in example.items()}, dict)


def _lookup(rows, types):
    """A function from the numbers of examples, a tensor, to their rows.

    Constants in the graph would do as well for a table, but they end up in every `.meta` file, and a graph is limited
    to 2 GB.

    Args:
        rows: a function from an array of numbers to a list of arrays.
        types: ordered dict from the names of these to their types.
    """

    def lookup(numbers):
        open_sessions.close_at_exit()
        values = tf.numpy_function(rows, [numbers], list(types.values()))
        for value in values:
            value.set_shape(numbers.shape)
        return dict(zip(types, values, strict=True))

    return lookup
