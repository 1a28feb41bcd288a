"""Streams of encoded examples: from tables in memory, from image files, from TFRecord files.

A stream is a function of `(shuffle, seed)` that gives a `tf.data.Dataset` of dicts with the keys `encoded`
(string scalar), `label` (int64 scalar) and `name` (string scalar). Unshuffled it holds every example once, in
a fixed order; shuffled it never ends, and every pass over the examples has another order.
"""

import os

import numpy as np
import tensorflow.compat.v1 as tf

from nets.data import records

# Looking references up one by one would cost a Python call for each.
_LOOKUP_SIZE = 64
_READERS = 4
# Encoded photos of 110 kB: some 200 MB.
_SHUFFLE_BUFFER = 2048


def _endless(dataset, buffer_size, seed):
    return dataset.shuffle(buffer_size, seed=seed, reshuffle_each_iteration=True).repeat()


def _lookup(columns):
    """Makes a function from a batch of indices to rows of a table that stays in Python.

    Constants in the graph would do as well, but they end up in every `.meta` file, and a graph is limited to
    2 GB.
    """
    types = [tf.int64 if column.dtype == np.int64 else tf.string for column in columns.values()]

    def rows(indices):
        return [column[indices] for column in columns.values()]

    def lookup(indices):
        values = tf.numpy_function(rows, [indices], types)
        for value in values:
            value.set_shape(indices.shape)
        return dict(zip(columns, values, strict=True))

    return lookup


def from_table(names, labels, encoded=None):
    """Makes a stream of examples that are listed in memory.

    Args:
        names: list of bytes or str, one for each example; the paths of the image files when `encoded` is
            None.
        labels: list of ints.
        encoded: list of bytes (whole image files) or None, where the files are read when their turn comes.

    Returns:
        A stream, see the module's docstring.
    """
    columns = {'name': np.array([os.fsencode(name) for name in names], object),
               'label': np.array(labels, np.int64)}
    if encoded is not None:
        columns['encoded'] = np.array(encoded, object)
    lookup = _lookup(columns)

    def read(example):
        return dict(example, encoded=tf.io.read_file(example['name']))

    def stream(shuffle=False, seed=None):
        dataset = tf.data.Dataset.range(len(names))
        if shuffle:
            dataset = _endless(dataset, len(names), seed)
        dataset = dataset.batch(_LOOKUP_SIZE).map(lookup).unbatch()
        return dataset if encoded is not None else dataset.map(read, num_parallel_calls=_READERS)

    return stream


def from_records(paths):
    """Makes a stream of the examples in TFRecord files of slim's schema.

    Args:
        paths: list of str, in the order in which they are read.

    Returns:
        A stream, see the module's docstring. The name of an example is its `image/filename`, or `PATH#INDEX`
        where the record has none.
    """

    def read(path):
        indexed = tf.data.TFRecordDataset(path).enumerate()
        return indexed.map(lambda index, record: _named(records.parse_example(record), path, index))

    def stream(shuffle=False, seed=None):
        files = tf.data.Dataset.from_tensor_slices(list(paths))
        if not shuffle:
            return files.flat_map(read)
        files = files.shuffle(len(paths), seed=seed, reshuffle_each_iteration=True)
        examples = files.interleave(read, cycle_length=_READERS, num_parallel_calls=_READERS,
                                    deterministic=True)
        return _endless(examples, _SHUFFLE_BUFFER, seed)

    return stream


def _named(parsed, path, index):
    """The keys of a stream out of a parsed record."""
    place = tf.strings.join([path, '#', tf.strings.as_string(index)])
    name = tf.where(tf.equal(parsed['filename'], ''), place, parsed['filename'])
    return {'encoded': parsed['encoded'], 'label': parsed['label'], 'name': name}
