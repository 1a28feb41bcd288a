"""Slim's TFRecord schema: files of encoded images with their labels, and the class names beside them."""

import array
import contextlib
import numbers
import os
import re
import struct

import numpy as np
import tensorflow.compat.v1 as tf

from nets import atomic_file

LABELS_FILENAME = 'labels.txt'
_MOST_CLASSES = 10 ** 6
_SHARD = re.compile(r'(.*)[-_](\d{5})-of-(\d{5})')
# A record is its length (8 bytes, little-endian), a checksum (4), the content and a checksum (4).
_HEADER = struct.Struct('<Q4x')
_FOOTER_SIZE = 4

FEATURES = {
    'image/encoded': tf.FixedLenFeature([], tf.string, ''),
    'image/format': tf.FixedLenFeature([], tf.string, ''),
    'image/filename': tf.FixedLenFeature([], tf.string, ''),
    'image/class/label': tf.FixedLenFeature([], tf.int64, -1),
    'image/height': tf.FixedLenFeature([], tf.int64, 0),
    'image/width': tf.FixedLenFeature([], tf.int64, 0),
}


def make_example(encoded, image_format, height, width, label, filename=None):
    """Makes a record.

    Args:
        encoded: bytes, a whole JPEG or PNG file.
        image_format: `'jpg'` or `'png'`.
        height: int, in pixels.
        width: int, in pixels.
        label: int, the index of the class.
        filename: str that identifies the image, or None to leave it out as most of slim's converters do.

    Returns:
        A `tf.train.Example`.
    """
    features = {
        'image/encoded': encoded,
        'image/format': image_format,
        'image/class/label': label,
        'image/height': height,
        'image/width': width,
    }
    if filename is not None:
        features['image/filename'] = filename
    return pack(features)


def pack(features):
    """Makes a record of any schema.

    Args:
        features: dict from str to int, str or bytes.

    Returns:
        A `tf.train.Example`.
    """
    def feature(value):
        if isinstance(value, numbers.Integral):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[os.fsencode(value)]))

    return tf.train.Example(features=tf.train.Features(feature={
        key: feature(value) for key, value in features.items()}))


def parse_example(serialized):
    """Parses a record.

    Args:
        serialized: string scalar, a `tf.train.Example` as `make_example` or slim's converters write it.

    Returns:
        A dict of scalars: `encoded`, `format`, `filename` (strings, empty where missing), `label` (int64, -1
        where missing), `height` and `width` (int64, 0 where missing).
    """
    parsed = tf.parse_single_example(serialized, FEATURES)
    return {key.rsplit('/', 1)[-1]: value for key, value in parsed.items()}


def write_records(examples, num_examples, dataset_dir, name, split_name, num_shards=1):
    """Writes records to `NAME_SPLIT_00000-of-00005.tfrecord` and so on, as slim's converters name them.

    The files appear under these names once all of them are complete.

    Args:
        examples: iterable of `tf.train.Example`; they may be made one by one.
        num_examples: int, how many there are. Every shard but the last ones holds `ceil(num_examples /
            num_shards)`.
        dataset_dir: the folder to write to; made where it is missing.
        name: str, the name of the data set.
        split_name: str, such as `'train'`.
        num_shards: int, the number of files, at least 1.

    Returns:
        The paths of the files, a list of str.

    Raises:
        ValueError: If there are more or fewer examples than `num_examples`, or `num_shards` is less than 1.
    """
    if num_shards < 1:
        raise ValueError(f'num_shards must be at least 1; got {num_shards}.')
    os.makedirs(dataset_dir, exist_ok=True)
    return write_files(examples, num_examples, shard_paths(dataset_dir, name, split_name, num_shards))


def write_files(examples, num_examples, paths):
    """Writes records to given files; see `write_records`."""
    temporary = [f'{path}.{os.getpid()}.tmp' for path in paths]
    try:
        _fill_shards(examples, num_examples, temporary)
        for source, path in zip(temporary, paths, strict=True):
            os.replace(source, path)
    finally:
        for path in temporary:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
    return paths


def shard_paths(dataset_dir, name, split_name, num_shards):
    """The paths of the files of a split, a list of str."""
    return [os.path.join(dataset_dir, f'{name}_{split_name}_{shard:05d}-of-{num_shards:05d}.tfrecord')
            for shard in range(num_shards)]


def _fill_shards(examples, num_examples, paths):
    size = -(-num_examples // len(paths))
    iterator = iter(examples)
    count = 0
    for path in paths:
        with tf.python_io.TFRecordWriter(path) as writer:
            for _, example in zip(range(min(size, num_examples - count)), iterator, strict=False):
                writer.write(example.SerializeToString())
                count += 1
    if count != num_examples or next(iterator, None) is not None:
        raise ValueError(f'num_examples must be the number of the examples; got {num_examples} for '
                         f'{"more" if count == num_examples else count}. Nothing was written.')


def record_offsets(path):
    """Finds the records of a file by walking over their headers, without reading the contents.

    Args:
        path: str.

    Returns:
        int64 array, where in the file each record begins, in bytes.

    Raises:
        ValueError: If the file ends in the middle of a record.
    """
    size = os.path.getsize(path)
    offsets = array.array('q')
    position = 0
    with open(path, 'rb') as file:
        while position < size:
            offsets.append(position)
            header = file.read(_HEADER.size)
            if len(header) == _HEADER.size:
                position += _HEADER.size + _HEADER.unpack(header)[0] + _FOOTER_SIZE
            if len(header) < _HEADER.size or position > size:
                raise ValueError(f'{path!r} is truncated or no TFRecord file: it ends in the middle of '
                                 f'record {len(offsets) - 1}, which begins at byte {offsets[-1]}. Make or fetch it '
                                 'again.')
            file.seek(position)
    return np.frombuffer(offsets, np.int64)


def read_at(path, offset):
    """Reads one record.

    Args:
        path: string scalar.
        offset: int64 scalar, where the record begins, in bytes.

    Returns:
        string scalar. Running it raises `DataLossError` if the record's checksums are wrong.
    """
    # Without a buffer no more than the record is read. tf.data.TFRecordDataset does not take offsets.
    from_there = tf.raw_ops.TFRecordDatasetV2(filenames=[path], compression_type='', buffer_size=0,
                                              byte_offsets=[offset])
    spec = tf.TensorSpec([], tf.string)
    return tf.data.experimental.from_variant(from_there, spec).take(1).get_single_element()


def check_shards(paths):
    """Checks that files named `NAME_00000-of-00005` or `NAME-00000-of-00005` are all there, and of one set.

    Args:
        paths: list of str; those named otherwise are not looked at.

    Raises:
        ValueError: If shards are missing, or there are several sets of them.
    """
    shards = [match.groups() for match in map(_SHARD.match, paths) if match]
    sets = sorted({(name, int(total)) for name, _, total in shards})
    if len(sets) > 1:
        found = ', '.join(f'{total} of {name}' for name, total in sets)
        raise ValueError(f'Found shards of several sets: {found}. Remove the old ones, or name the files by '
                         'file_pattern.')
    for name, total in sets:
        missing = sorted(set(range(total)) - {int(index) for _, index, _ in shards})
        if missing:
            raise ValueError(f'{name!r} lacks shards {missing} of {total}. Make or fetch them, or name the '
                             'files by file_pattern to do without.')


def write_labels(dataset_dir, class_names):
    """Writes the names of the classes to `labels.txt`, one line `ID:NAME` each.

    Args:
        dataset_dir: the folder to write to.
        class_names: sequence of str, in the order of the labels.
    """
    path = os.path.join(dataset_dir, LABELS_FILENAME)
    with atomic_file.writing(path) as file:
        file.writelines(f'{label}:{name}\n' for label, name in enumerate(class_names))


def read_labels(dataset_dir):
    """Reads the names of the classes from `labels.txt` in a folder; see `read_labels_file`."""
    return read_labels_file(os.path.join(dataset_dir, LABELS_FILENAME))


def read_labels_file(path):
    """Reads the names of the classes.

    Args:
        path: the file.

    Returns:
        A tuple of str, one for each label from 0 to the largest; a label that has no line gets its number as
        a name.

    Raises:
        ValueError: If a line is not `ID:NAME`, a label occurs twice, or there are no lines.
    """
    with open(path, encoding='utf-8') as file:
        lines = [(number, line.strip()) for number, line in enumerate(file, 1) if line.strip()]
    names = {}
    for number, line in lines:
        label, colon, name = line.partition(':')
        if not (colon and label.isdecimal()) or int(label) in names:
            raise ValueError(f'Line {number} of {path!r} must be ID:NAME with a label that has no line yet; '
                             f'got {line!r}.')
        names[int(label)] = name
    if not names:
        raise ValueError(f'{path!r} must have a line ID:NAME for each class; it is empty.')
    return fill_names(names, path)


def fill_names(names, path):
    """The names of all classes up to the largest label, where some have none.

    Args:
        names: dict from label to str, not empty.
        path: the file that they come from, for the error.

    Returns:
        A tuple of str; a label without a name gets its number as one.

    Raises:
        ValueError: If the largest label is a mistake.
    """
    if max(names) >= _MOST_CLASSES:
        raise ValueError(f'{path!r} names a class {max(names)}; there can be {_MOST_CLASSES} at most.')
    return tuple(names.get(label, str(label)) for label in range(max(names) + 1))
