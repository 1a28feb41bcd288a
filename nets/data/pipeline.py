"""Batches of preprocessed images for training and evaluation."""

import dataclasses
import functools
import os
import threading

import tensorflow.compat.v1 as tf

from nets import error_text
from nets.data import images, order

_PREFETCH = 2
# Batches that are made at a time, so that no thread waits for the last images of one.
_BATCHES = 2
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
    to_label = _label_fn(dataset.num_classes, labels_offset)
    if share is None:
        return _evaluation(source, corrupt, to_label, functools.partial(preprocess, height=height, width=width),
                           batch_size, num_parallel_calls)

    @tf.function(autograph=False)  # so that what is mapped several times is built once
    def prepare(row):
        example = source.load(row)
        image = preprocess(images.Encoded(example['encoded']), height, width,
                           seed=order.augmentation_seed(row['position'], share.seed))
        return {'image': image, 'label': example['label'], 'mask': True, 'name': example['name']}

    return _training(source, corrupt, to_label, prepare, share, batch_size, num_parallel_calls)


def _evaluation(source, corrupt, to_label, preprocess, batch_size, num_parallel_calls):
    """Every example once, and blanks."""

    def decode(row):
        example = source.load(row)
        return dict(example, image=images.decode(example['encoded']))

    def finish(example):
        return {'image': preprocess(example['image']), 'label': to_label(example), 'mask': True,
                'name': example['name'], 'encoded': example['encoded']}

    rows = source.rows(tf.data.Dataset.range(source.num_examples))
    examples = rows.interleave(lambda row: _unless_corrupt(row, decode, corrupt), cycle_length=num_parallel_calls,
                               block_length=1, num_parallel_calls=num_parallel_calls, deterministic=True)
    examples = examples.map(finish, num_parallel_calls, deterministic=True)
    examples = examples.concatenate(_blanks(examples.element_spec, batch_size - 1))
    return examples.batch(batch_size, drop_remainder=True).prefetch(_PREFETCH)


def _training(source, corrupt, to_label, prepare, share, batch_size, num_parallel_calls):
    """The batches of a share, without end.

    An op that fails ends its stream. So each batch has a stream of its own that drops errors, and where it stays empty,
    the batch is made again, with a stream for each image. A stream for each image of all batches would add some 0.2 ms
    per image.
    """
    num_batches = min(_BATCHES, num_parallel_calls)

    def finish(example):
        return dict(example, label=to_label(example))

    def others(row):
        """The rows that are tried in place of a corrupt one."""
        attempts = tf.data.Dataset.range(1, _ATTEMPTS)
        numbers = attempts.map(lambda attempt: order.indices(
            row['position'][tf.newaxis], source.num_examples, share.seed, attempt)[0])
        return source.rows(numbers).map(lambda other: dict(other, position=row['position']))

    def replaced(row):
        return _unless_corrupt(row, prepare, corrupt, others(row) if corrupt.are_skipped else None)

    def make_batch(positions):
        rows = tf.data.Dataset.from_tensor_slices(dict(
            source.lookup(order.indices(positions, source.num_examples, share.seed)), position=positions))
        sound = rows.map(lambda row: finish(prepare(row)), num_parallel_calls // num_batches, deterministic=True)
        again = rows.flat_map(replaced).map(finish)
        return sound.batch(batch_size, drop_remainder=True).ignore_errors().concatenate(
            again.batch(batch_size, drop_remainder=True)).take(1).get_single_element()

    positions = order.worker_positions(share.start, share.global_batch_size or batch_size * share.num_workers,
                                       share.worker, share.num_workers)
    return positions.batch(batch_size, drop_remainder=True).map(
        make_batch, num_batches, deterministic=True).prefetch(_PREFETCH)


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


def _unless_corrupt(row, prepare, corrupt, others=None):
    """A stream of one example; of none if it is corrupt and to be left out.

    Args:
        row: see `nets.data.sources`.
        prepare: a function from a row to the example. Running it raises an `OpError` if it is corrupt.
        corrupt: a `_Corrupt`.
        others: a stream of rows that are tried in place of a corrupt one.
    """

    def attempt(row):
        single = tf.data.Dataset.from_tensors(row)
        sound = single.map(prepare).ignore_errors()
        return sound.concatenate(_nothing(single.filter(corrupt.tell), sound.element_spec)).take(1)

    example = attempt(row)
    if others is not None:
        hopeless = tf.data.Dataset.from_tensors(row).filter(corrupt.give_up)
        example = example.concatenate(others.flat_map(attempt)).concatenate(_nothing(hopeless, example.element_spec))
    return example.take(1)


def _nothing(empty, spec):
    """A stream without elements, seen as one of another kind; running it still has its effect."""
    return empty.map(lambda _: _blank(spec))


class _Corrupt:
    """What becomes of examples that cannot be read or decoded: they are told once each, or are an error."""

    def __init__(self, dataset, skip_corrupt):
        self._dataset = dataset
        self._skip_corrupt = skip_corrupt
        self._lock = threading.Lock()
        self._told = set()

    @property
    def are_skipped(self):
        return self._skip_corrupt is not None

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
    return tf.data.Dataset.from_tensors(_blank(spec)).repeat(count)


def _blank(spec):
    return {key: tf.zeros([size or 0 for size in value.shape.as_list()], value.dtype) for key, value in spec.items()}
