"""Batches of preprocessed images for training and evaluation."""

import dataclasses
import os
import threading

import tensorflow.compat.v1 as tf

from nets import error_text
from nets.data import images, order

_PREFETCH = 2
# How many other examples are tried, one after another, in place of a corrupt one.
_ATTEMPTS = 100


@dataclasses.dataclass(frozen=True)
class Share:
    """Which examples of an endless training stream are wanted; see `nets.data.order`.

    Attributes:
        seed: int, decides order and random changes.
        start: int, how many examples all workers together have drawn before.
        global_batch_size: int, examples per step on all workers together; None for the size of the batches.
        worker: int in `[0, num_workers)`.
        num_workers: int.
    """

    seed: int
    start: int = 0
    global_batch_size: int | None = None
    worker: int = 0
    num_workers: int = 1


@tf.autograph.experimental.do_not_convert
def batches(dataset, preprocess, height, width, batch_size, share=None, num_parallel_calls=4, skip_corrupt=None,
            labels_offset=0):
    """Makes the batches of a data set.

    For training the stream never ends, every pass is in another order and every batch is full; it is a pure function
    of `share`, whatever `num_parallel_calls` is. For evaluation it holds every example once, in order; the last batch
    is filled up with blank images whose `mask` is False.

    Args:
        dataset: a `nets.data.datasets.Dataset`.
        preprocess: a function `fn(image, height, width, seed=None)`, see `nets.data.preprocessing`.
        height: int, in pixels.
        width: int, in pixels.
        batch_size: int.
        share: a `Share` for training; None for evaluation.
        num_parallel_calls: int, the number of images that are read, decoded and preprocessed at a time.
        skip_corrupt: None to raise an error at a corrupt image; or an object with a method `append`, such as
            a list, to leave such images out: in training, another example takes the place. It then gets the name of
            each of them once, as a str, when the image is met.
        labels_offset: int that is subtracted from the labels, as in slim: 1 for ImageNet without its
            background class.

    Returns:
        A `tf.data.Dataset` of dicts with the keys `image` (float32 `[batch_size, height, width, 3]`), `label`
        (int64 `[batch_size]`), `mask` (bool `[batch_size]`), `name` (string `[batch_size]`), and for
        evaluation `encoded` (string `[batch_size]`). Running it raises `InvalidArgumentError` with the name
        of the image where one is corrupt (without `skip_corrupt`), or all are, and where a label is not of a
        class.

    Raises:
        ValueError: If a size is less than 1, the data set is empty, `labels_offset` is not in `[0, num_classes)`, or
            the share cannot be had.
    """
    _check_arguments(dataset, height, width, batch_size, num_parallel_calls, labels_offset)
    source = dataset.source
    corrupt = _Corrupt(dataset, skip_corrupt)
    if share is None:
        rows = source.rows(tf.data.Dataset.range(source.num_examples))
    else:
        rows = _training_rows(source, share, batch_size)

    def others(row):
        """What is tried in place of a corrupt example: nothing, or others."""
        if share is None or skip_corrupt is None:
            return None
        attempts = tf.data.Dataset.range(1, _ATTEMPTS)
        return source.rows(attempts.map(lambda attempt: order.indices(
            row['position'][tf.newaxis], source.num_examples, share.seed, attempt)[0]))

    examples = rows.interleave(lambda row: _decoded(source, row, corrupt, others(row)), cycle_length=num_parallel_calls,
                               block_length=1, num_parallel_calls=num_parallel_calls, deterministic=True)
    to_label = _label_fn(dataset.num_classes, labels_offset)

    def finish(example):
        seed = order.augmentation_seed(example['position'], share.seed) if share else None
        result = {'image': preprocess(example['image'], height, width, seed=seed),
                  'label': to_label(example), 'mask': True, 'name': example['name']}
        return result if share else dict(result, encoded=example['encoded'])

    examples = examples.map(finish, num_parallel_calls, deterministic=True)
    if share is None:
        examples = examples.concatenate(_blanks(examples.element_spec, batch_size - 1))
    return examples.batch(batch_size, drop_remainder=True).prefetch(_PREFETCH)


def _training_rows(source, share, batch_size):
    """The rows of a share, with their `position`."""
    positions = order.worker_positions(share.start, share.global_batch_size or batch_size * share.num_workers,
                                       share.worker, share.num_workers)
    rows = source.rows(positions, lambda some: order.indices(some, source.num_examples, share.seed))
    return tf.data.Dataset.zip((positions, rows)).map(lambda position, row: dict(row, position=position))


def _check_arguments(dataset, height, width, batch_size, num_parallel_calls, labels_offset):
    sizes = {'height': height, 'width': width, 'batch_size': batch_size,
             'num_parallel_calls': num_parallel_calls}
    for key, value in sizes.items():
        if value < 1:
            raise ValueError(f'{key} must be at least 1; got {value}.')
    if dataset.num_examples == 0:
        raise ValueError(f'The split {dataset.split_name!r} of the data set {dataset.name!r} has no '
                         'examples.')
    if not 0 <= labels_offset < dataset.num_classes:
        raise ValueError(f'labels_offset must be at least 0 and less than the {dataset.num_classes} classes '
                         f'of the data set {dataset.name!r}; got {labels_offset}.')


def _decoded(source, row, corrupt, others):
    """A stream of one example, decoded; of none if it is corrupt and to be left out.

    An op that fails ends its stream. So each image is read and decoded in a stream of its own that drops errors: where
    it stays empty, what comes next is told, and another example takes its place. All of this is C++, and adds some
    0.1 ms per image.
    """
    position = {'position': row.pop('position')} if 'position' in row else {}

    def decode(row):
        example = source.load(row)
        return dict(example, image=images.decode(example['encoded']), **position)

    def attempt(row):
        single = tf.data.Dataset.from_tensors(row)
        decoded = single.map(decode).ignore_errors()
        told = single.filter(corrupt.tell).map(decode)
        return decoded.concatenate(told).take(1)

    decoded = attempt(row)
    if others is not None:
        decoded = decoded.concatenate(others.flat_map(attempt)).concatenate(
            tf.data.Dataset.from_tensors(row).filter(corrupt.give_up).map(decode))
    return decoded.take(1)


class _Corrupt:
    """What becomes of examples that cannot be read or decoded: they are told once each, or are an error."""

    def __init__(self, dataset, skip_corrupt):
        self._dataset = dataset
        self._skip_corrupt = skip_corrupt
        self._lock = threading.Lock()
        self._told = set()

    def tell(self, row):
        """Notes that a row is corrupt; a tensor that is always False."""
        return self._run(self._tell, row)

    def give_up(self, row):
        """Raises an error, as too many rows are corrupt."""
        return self._run(self._give_up, row)

    def _run(self, function, row):
        """Runs a function in Python, where an error keeps its text."""
        def call(*values):
            return function(dict(zip(row, values, strict=True)))

        return tf.ensure_shape(tf.numpy_function(call, list(row.values()), tf.bool), [])

    def _tell(self, row):
        name, reason = self._diagnose(row)
        if self._skip_corrupt is None:
            raise ValueError(f'{reason} Replace or remove it, or skip such images (skip_corrupt).')
        with self._lock:
            if name not in self._told:
                self._told.add(name)
                self._skip_corrupt.append(name)
        if len(self._told) == self._dataset.num_examples:
            raise ValueError(f'All {len(self._told)} images of the split {self._dataset.split_name!r} of the data set '
                             f'{self._dataset.name!r} are corrupt. {reason}')
        return False

    def _give_up(self, row):
        raise ValueError(f'{_ATTEMPTS} images one after another of the split {self._dataset.split_name!r} of the data '
                         f'set {self._dataset.name!r} are corrupt. {self._diagnose(row)[1]}')

    def _diagnose(self, row):
        """The name of an example, and a sentence that says what is wrong with it."""
        try:
            example = self._dataset.source.read(row)
        except tf.errors.OpError as error:
            name = os.fsdecode(row['name'])
            place = f' (at byte {row["offset"]})' if 'offset' in row else ''
            line = error_text.first_telling_line(error.message, type(error).__name__)
            reason = f'Cannot read the example {name!r}{place}: {line}.'
            if not isinstance(error, tf.errors.DataLossError):
                raise ValueError(reason) from error  # gone or out of reach: not the data's fault
            return name, reason
        name = os.fsdecode(example['name'])
        return name, f'Cannot decode the image {name!r}: {images.diagnose(example["encoded"])}.'


def _label_fn(num_classes, labels_offset):
    """Makes the function that checks and shifts the label of an example."""

    def to_label(example):
        label = example['label']
        valid = tf.logical_and(label >= labels_offset, label < num_classes)
        message = ['The label of', example['name'], f'must be at least {labels_offset} (labels_offset) and '
                   f'less than {num_classes} (the number of classes); got', label]
        with tf.control_dependencies([tf.debugging.Assert(valid, message)]):
            return label - labels_offset

    return to_label


def _blanks(spec, count):
    """A stream of `count` examples of zeros, False and empty strings."""
    blank = {key: tf.zeros(value.shape, value.dtype) for key, value in spec.items()}
    return tf.data.Dataset.from_tensors(blank).repeat(count)
