"""Images for inference: what a command line names, and batches of it in order, with the corrupt ones told apart."""

import collections
import contextlib
import glob
import hashlib
import itertools
import os
import re

import numpy as np
import tensorflow.compat.v1 as tf

from nets import error_text
from nets.data import images, records, sources

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.gif', '.bmp', '.webp')
_RECORDS = re.compile(r'\.tfrecords?$|[-_]\d{5}-of-\d{5}$')
_PREFETCH = 2

# names: of all images of the batch, in order. images: float32 `[sound, size, size, 3]`, the preprocessed images that
# could be decoded. corrupt: dict from place in the batch to the reason why that image could not.
Batch = collections.namedtuple('Batch', ['names', 'images', 'corrupt'])


class Files:
    """Image files by their paths."""

    def __init__(self, paths):
        self._paths = [os.fsencode(path) for path in paths]

    @property
    def paths(self):
        """The paths of the files, a list of str."""
        return [os.fsdecode(path) for path in self._paths]

    def __len__(self):
        return len(self._paths)

    def fingerprint(self):
        """A str that is another one for other paths or another order."""
        digest = hashlib.sha256()
        for path in self._paths:
            digest.update(path + b'\0')
        return digest.hexdigest()

    def examples(self, start):
        """A `tf.data.Dataset` of dicts from the image with that number on, and what to feed to its initializer."""
        # A constant would be in the graph as well, which is limited to 2 GB.
        paths = tf.placeholder(tf.string, [None])
        dataset = tf.data.Dataset.from_tensor_slices(paths).map(lambda path: {'name': path, 'encoded': ''})
        return dataset, {paths: np.array(self._paths[start:], object)}

    def decode(self, example):
        """The image of an example, uint8 `[height, width, 3]`."""
        return images.decode(tf.io.read_file(example['name']))

    def diagnose(self, name, encoded):
        """Says why the image of that name could not be decoded."""
        del encoded
        try:
            with open(name, 'rb') as file:
                return images.diagnose(file.read())
        except OSError as error:
            return f'it cannot be read: {error.strerror}'


class Records:
    """The images in TFRecord files of slim's schema."""

    def __init__(self, paths):
        self._paths = list(paths)
        self._source = sources.from_records(self._paths)

    @property
    def paths(self):
        """The paths of the TFRecord files, a list of str."""
        return list(self._paths)

    def __len__(self):
        return self._source.num_examples

    def fingerprint(self):
        return [[path, os.path.getsize(path)] for path in self._paths]

    def examples(self, start):
        return self._source.examples(start), {}

    def decode(self, example):
        return images.decode(example['encoded'])

    def diagnose(self, name, encoded):
        del name
        return images.diagnose(encoded)


class Arrays:
    """Images in memory, uint8 `[height, width, 3]` each; their names are their numbers."""

    def __init__(self, arrays):
        self._arrays = arrays

    def __len__(self):
        return len(self._arrays)

    def examples(self, start):
        def generate():
            for number in range(start, len(self._arrays)):
                yield {'name': str(number), 'encoded': '', 'pixels': self._arrays[number]}

        return tf.data.Dataset.from_generator(generate, output_signature={
            'name': tf.TensorSpec([], tf.string), 'encoded': tf.TensorSpec([], tf.string),
            'pixels': tf.TensorSpec([None, None, 3], tf.uint8)}), {}

    def decode(self, example):
        return example['pixels']

    def diagnose(self, name, encoded):
        del encoded
        return f'it cannot be preprocessed; its shape is {self._arrays[int(name)].shape}'


def find(spec):
    """Finds the images that a command line names.

    Args:
        spec: str, one of: a folder, all of whose files that end like images count, sorted, those of folders within it
            too; a file `.txt` with one path a line; a TFRecord file; an image; or a pattern such as `photos/*.jpg` of
            images or of TFRecord files. Paths are relative to the working directory.

    Returns:
        A `Files` or `Records`.

    Raises:
        ValueError: If nothing of that name is there, or it holds no images.
    """
    if os.path.isdir(spec):
        return Files(_walk(spec))
    if os.path.isfile(spec):
        paths = [spec]
    else:
        paths = sorted(path for path in glob.glob(spec, recursive=True) if not os.path.isdir(path))
    if not paths:
        raise ValueError(f'{spec!r} is no folder, no file and no pattern that files match. Name a folder of images, a '
                         'list of their paths (.txt), TFRecord files, or a pattern in quotes.')
    if paths == [spec] and spec.lower().endswith('.txt'):
        return Files(_read_list(spec))
    of_records = [path for path in paths if _RECORDS.search(path)]
    if of_records and len(of_records) < len(paths):
        raise ValueError(f'{spec!r} matches both {len(of_records)} TFRecord files and {len(paths) - len(of_records)} '
                         'others; name one kind of them.')
    if not of_records:
        return Files(paths)
    records.check_shards(paths)
    return Records(paths)


def free_name(path, endings, taken):
    """A name for the files made of an image: that of its own file, and -2, -3, … where that is taken.

    Args:
        path: str, of the image.
        endings: list of str, what the names of the files end in.
        taken: set of the names of files that were given away, which gets these.

    Returns:
        The name without what it ends in.
    """
    stem = os.path.splitext(os.path.basename(path))[0]
    names = itertools.chain([stem], (f'{stem}-{number}' for number in itertools.count(2)))
    free = next(name for name in names if not taken.intersection(name + ending for ending in endings))
    taken.update(free + ending for ending in endings)
    return free


def _walk(folder):
    """The sorted paths of the images in a folder and those below; folders by links too, but each once."""
    paths, others, seen = [], 0, set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(('.', '__MACOSX'))]
        found = [name for name in names if name.lower().endswith(EXTENSIONS) and not name.startswith('.')]
        paths += [os.path.join(parent, name) for name in found]
        others += len(names) - len(found)
    if not paths:
        raise ValueError(f'The folder {folder!r} holds no images ({", ".join("*" + end for end in EXTENSIONS)}) and '
                         f'{others} other files. Name the folder of the images, or a pattern of TFRecord files.')
    return sorted(paths)


def _read_list(path):
    with open(path, encoding='utf-8', errors='surrogateescape') as file:
        paths = [line.rstrip('\r\n') for line in file if line.strip()]
    if not paths:
        raise ValueError(f'The list {path!r} must have one path a line; it is empty.')
    return paths


def batches(source, preprocess, size, batch_size, start=0, num_parallel_calls=4):
    """Decodes and preprocesses images in the background, while the caller works on earlier ones.

    Args:
        source: a `Files`, `Records` or `Arrays`.
        preprocess: function of an image, uint8 `[height, width, 3]`, that gives float32 `[size, size, 3]`.
        size: int, in pixels.
        batch_size: int, images of a batch; the last one may have less.
        start: int, the number of the image to begin with.
        num_parallel_calls: int, images that are worked on at a time.

    Yields:
        A `Batch` after the other, until all images from `start` on came once, in order.

    Raises:
        ValueError: If a TFRecord file is damaged.
    """
    for key, value in (('batch_size', batch_size), ('num_parallel_calls', num_parallel_calls)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f'{key} must be a whole number from 1; got {value!r}.')
    yield from _batches(source, preprocess, lambda: tf.zeros([size, size, 3]), batch_size, start, num_parallel_calls)


def decoded(source, num_parallel_calls=2):
    """Decodes images of any size in the background, while the caller works on earlier ones.

    Args:
        source, num_parallel_calls: see `batches`.

    Yields:
        A triple after the other: name, image, uint8 `[height, width, 3]`, or None where it is corrupt, and the reason
        for that, or None.

    Raises:
        ValueError: If a TFRecord file is damaged.
    """
    for batch in _batches(source, lambda image: image, lambda: tf.zeros([1, 1, 3], tf.uint8), 1, 0, num_parallel_calls):
        yield batch.names[0], None if batch.corrupt else batch.images[0], batch.corrupt.get(0)


def _batches(source, preprocess, blank_image, batch_size, start, num_parallel_calls):
    """`batches`, with a function that makes a blank image."""
    with tf.Graph().as_default() as graph, tf.device('/cpu:0'):
        loaded, feed = _load(source, start, preprocess, blank_image, num_parallel_calls)
        iterator = tf.data.make_initializable_iterator(loaded.batch(batch_size).prefetch(_PREFETCH))
        following = iterator.get_next()
    # Entered, a session would be the default one of the caller between two batches.
    with contextlib.closing(tf.Session(graph=graph)) as session:
        session.run(iterator.initializer, feed)
        while True:
            try:
                batch = session.run(following)
            except tf.errors.OutOfRangeError:
                return
            except tf.errors.OpError as error:
                reason = error_text.first_telling_line(error.message, type(error).__name__)
                raise ValueError(f'The images cannot be read on: {reason}') from error
            names = [os.fsdecode(name) for name in batch['name']]
            yield Batch(names, batch['image'][batch['sound']],
                        {place: source.diagnose(names[place], batch['encoded'][place])
                         for place in np.flatnonzero(~batch['sound']).tolist()})


@tf.autograph.experimental.do_not_convert
def _load(source, start, preprocess, blank_image, num_parallel_calls):
    """The stream of images, and what to feed; a blank one that is not `sound` is in the place of each corrupt one.

    An op that fails ends its stream. So each image is decoded in a stream of its own that drops errors, and what takes
    the place of a corrupt one comes after it.
    """

    def sound(example):
        image = preprocess(source.decode(example))
        return {'name': example['name'], 'image': image, 'sound': True, 'encoded': ''}

    def blank(example):
        return {'name': example['name'], 'image': blank_image(), 'sound': False,
                'encoded': example['encoded']}

    def one(example):
        single = tf.data.Dataset.from_tensors(example)
        return single.map(sound).ignore_errors().concatenate(single.map(blank)).take(1)

    examples, feed = source.examples(start)
    return examples.interleave(one, cycle_length=num_parallel_calls, block_length=1,
                               num_parallel_calls=num_parallel_calls, deterministic=True), feed
