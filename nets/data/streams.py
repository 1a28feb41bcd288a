"""Streams of examples, for training and evaluation, of whatever a `nets.data.sources.Source` holds."""

import dataclasses
import os
import threading

import tensorflow.compat.v1 as tf

from nets import error_text
from nets.data import order

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


def evaluation(source, corrupt, decode, finish, batch_size, num_parallel_calls):
    """Every example once, in order, and blanks (zeros, False and empty strings) that fill up the last batch.

    Args:
        source: a `nets.data.sources.Source`.
        corrupt: a `Corrupt`.
        decode: a function from a row to the example. Running it raises an `OpError` if it is corrupt.
        finish: a function from what `decode` returns to a dict of tensors; its errors are errors.
        batch_size: int.
        num_parallel_calls: int, the number of examples that are decoded at a time.

    Returns:
        A `tf.data.Dataset` of batches.
    """
    rows = source.rows(tf.data.Dataset.range(source.num_examples))
    examples = rows.interleave(lambda row: _unless_corrupt(row, decode, corrupt), cycle_length=num_parallel_calls,
                               block_length=1, num_parallel_calls=num_parallel_calls, deterministic=True)
    examples = examples.map(finish, num_parallel_calls, deterministic=True)
    examples = examples.concatenate(_blanks(examples.element_spec, batch_size - 1))
    return examples.batch(batch_size, drop_remainder=True).prefetch(_PREFETCH)


def training(source, corrupt, prepare, finish, share, batch_size, num_parallel_calls):
    """The batches of a share, without end.

    An op that fails ends its stream. So each batch has a stream of its own that drops errors, and where it stays empty,
    the batch is made again, with a stream for each image. A stream for each image of all batches would add some 0.2 ms
    per image.

    Args:
        source, corrupt, finish, batch_size, num_parallel_calls: see `evaluation`.
        prepare: a function as `decode`; its rows have the key `position` besides. All its results have known shapes.
        share: a `Share`.

    Returns:
        A `tf.data.Dataset` of batches.
    """
    num_batches = min(_BATCHES, num_parallel_calls)
    # What is mapped several times is built once. Sound images do without the call, which takes 0.03 ms of each, though
    # building that once more takes 0.2 s.
    prepare_again = tf.function(prepare, autograph=False)

    def others(row):
        """The rows that are tried in place of a corrupt one."""
        attempts = tf.data.Dataset.range(1, _ATTEMPTS)
        numbers = attempts.map(lambda attempt: order.indices(
            row['position'][tf.newaxis], source.num_examples, share.seed, attempt)[0])
        return source.rows(numbers).map(lambda other: dict(other, position=row['position']))

    def replaced(row):
        return _unless_corrupt(row, prepare_again, corrupt, others(row) if corrupt.are_skipped else None)

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


def _unless_corrupt(row, prepare, corrupt, others=None):
    """A stream of one example; of none if it is corrupt and to be left out.

    Args:
        row: see `nets.data.sources`.
        prepare, corrupt: see `training`.
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


class Corrupt:
    """What becomes of examples that cannot be read or decoded: they are told once each, or are an error."""

    def __init__(self, dataset, skip_corrupt, diagnose):
        """Takes a data set and how to tell what is wrong with its examples.

        Args:
            dataset: a `nets.data.datasets.Dataset`.
            skip_corrupt: see `nets.data.pipeline.batches`.
            diagnose: a function from an example that cannot be used, a dict of values, to a sentence that names it and
                says why. It raises a ValueError where leaving the example out would be wrong.
        """
        self._dataset = dataset
        self._skip_corrupt = skip_corrupt
        self._diagnose_example = diagnose
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
        return os.fsdecode(example['name']), self._diagnose_example(example)


def _blanks(spec, count):
    """A stream of `count` examples of zeros, False and empty strings."""
    return tf.data.Dataset.from_tensors(_blank(spec)).repeat(count)


def _blank(spec):
    return {key: tf.zeros([size or 0 for size in value.shape.as_list()], value.dtype) for key, value in spec.items()}


def check(dataset, **sizes):
    """Raises a ValueError if a size is less than 1 or the data set is empty."""
    for key, value in sizes.items():
        if value < 1:
            raise ValueError(f'{key} must be at least 1; got {value}.')
    if dataset.num_examples == 0:
        raise ValueError(f'The split {dataset.split_name!r} of the data set {dataset.name!r} has no '
                         'examples.')
