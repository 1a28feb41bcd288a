"""One TFRecord file of a data set, made in a process of its own: whole or not at all, and not twice."""

import collections
import dataclasses
import functools
import hashlib
import json
import os

import tensorflow.compat.v1 as tf

from nets import atomic_file, error_text
from nets.data import images, records

# Shards that were made by another version of this are made again.
_VERSION = 1
_BLOCK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Shard:
    """What is to be in a file.

    Attributes:
        path: str, the file while the data set is incomplete.
        final_path: str, the file in the data set.
        names, paths, labels: of the images; see `nets.data.listing.Listing`.
        skip_corrupt: bool, whether to make the file without the images that cannot be decoded.
    """

    path: str
    final_path: str
    names: tuple
    paths: tuple
    labels: tuple
    skip_corrupt: bool


def make(shard, advance):
    """Makes a file of records, unless it is there.

    Beside it comes `PATH.json` with what is known of it. An image counts as the same as long as its name, label, size
    and time of change are.

    Args:
        shard: a `Shard`.
        advance: a function that is called with a number of images when they are done.

    Returns:
        A dict: `file` (its name), `records`, `bytes`, `sha256`, `classes` (from label as a str to number of records),
        `formats` (from format to number of records), `left_out` (a list of `[name, reason]`: the images that cannot be
        decoded) and `made` (False if the file was there). Where `left_out` is not empty and such images are not to be
        skipped, there is no file, and `sha256` is None.

    Raises:
        OSError: If an image or the file cannot be read or written.
    """
    inputs = _fingerprint(shard)
    known = _read_known(shard, inputs)
    if known:
        advance(len(shard.names))
        return dict(known, made=False)
    made = _write(shard, advance)
    if made['sha256']:
        with atomic_file.writing(known_path(shard.path)) as file:
            json.dump(dict(made, inputs=inputs), file)
    return dict(made, made=True)


def known_path(path):
    """The file that says what is in a shard."""
    return path + '.json'


def hash_file(path):
    """The SHA-256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _fingerprint(shard):
    digest = hashlib.sha256(str(_VERSION).encode())
    for name, path, label in zip(shard.names, shard.paths, shard.labels, strict=True):
        try:
            state = os.stat(path)
            size, changed = state.st_size, state.st_mtime_ns
        except OSError:
            size = changed = None
        digest.update(os.fsencode(f'{name}\0{label}\0{size}\0{changed}\0'))
    return digest.hexdigest()


def _read_known(shard, inputs):
    """What is known of a file that was made of the same images; None if there is none."""
    try:
        with open(known_path(shard.path), encoding='utf-8') as file:
            known = json.load(file)
    except (FileNotFoundError, ValueError):
        return None
    if known.pop('inputs') != inputs or (known['left_out'] and not shard.skip_corrupt):
        return None
    if os.path.exists(shard.path):
        return known if os.path.getsize(shard.path) == known['bytes'] else None
    moved = os.path.exists(shard.final_path) and hash_file(shard.final_path) == known['sha256']
    return known if moved else None


def _write(shard, advance):
    temporary = f'{shard.path}.{os.getpid()}.tmp'
    classes, formats, left_out = collections.Counter(), collections.Counter(), []
    try:
        with tf.python_io.TFRecordWriter(temporary) as writer:
            for name, path, label in zip(shard.names, shard.paths, shard.labels, strict=True):
                try:
                    example, image_format = _example(name, path, label)
                except ValueError as error:
                    left_out.append([name, str(error)])
                else:
                    writer.write(example)
                    classes[str(label)] += 1
                    formats[image_format] += 1
                advance(1)
        made = {'file': os.path.basename(shard.final_path), 'records': sum(classes.values()), 'bytes': None,
                'sha256': None, 'classes': dict(classes), 'formats': dict(formats), 'left_out': left_out}
        if left_out and not shard.skip_corrupt:
            return made
        _sync(temporary)
        made.update(bytes=os.path.getsize(temporary), sha256=hash_file(temporary))
        os.replace(temporary, shard.path)
        return made
    except tf.errors.OpError as error:
        reason = error_text.first_telling_line(error.message, type(error).__name__)
        raise OSError(f'{shard.path} cannot be written: {reason}') from error
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


def _example(name, path, label):
    """A record, as bytes, and the format of its image; raises a ValueError for one that cannot be used."""
    try:
        with open(path, 'rb') as file:
            encoded = file.read()
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise ValueError(f'it cannot be read: {error.strerror}') from error
    image_format, height, width = _checker().check(encoded)
    example = records.make_example(encoded, image_format, height, width, label, name)
    return example.SerializeToString(deterministic=True), image_format


def _sync(path):
    with open(path, 'rb') as file:
        os.fsync(file.fileno())


@functools.cache
def _checker():
    """That of this process, as making one takes as long as checking a hundred images."""
    return images.Checker()
