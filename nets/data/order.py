"""The order of training examples, as a pure function: nothing has to be saved to go on with it, or to share it.

A run counts the examples that it draws, from 0 on: their *positions*. An epoch is one pass over the data set, with a
permutation of its own. Which example a position means depends on the seed and the position alone, so a run that begins
at a position sees what an undisturbed one sees from there on, and workers that take different positions never see the
same example within an epoch.
"""

import tensorflow as tf

# Apart from those of the permutations, which begin with the seed itself.
_AUGMENTATION = 0x5DEECE66D


def worker_positions(start, global_batch_size, worker=0, num_workers=1):
    """The positions of one worker's examples, without end.

    Every global batch is the next `global_batch_size` positions; each worker has an equal and consecutive part of it.

    Args:
        start: int, the first position of the run.
        global_batch_size: int, examples per step on all workers together.
        worker: int in `[0, num_workers)`.
        num_workers: int that divides `global_batch_size`.

    Returns:
        A `tf.data.Dataset` of int64 scalars.

    Raises:
        ValueError: If the batch cannot be divided, or there is no such worker.
    """
    if global_batch_size % num_workers:
        raise ValueError(f'batch_size must be a multiple of the {num_workers} workers; got {global_batch_size}.')
    if not 0 <= worker < num_workers:
        raise ValueError(f'worker must be at least 0 and less than the {num_workers} workers; got {worker}.')
    part = global_batch_size // num_workers

    def position(count):
        return start + count // part * global_batch_size + worker * part + count % part

    return tf.data.Dataset.range(tf.int64.max).map(position)


def indices(positions, num_examples, seed, attempt=0):
    """Which examples some positions mean.

    Args:
        positions: int64 tensor `[n]`.
        num_examples: int, the size of the data set.
        seed: int.
        attempt: int or int64 scalar; others than 0 give other examples, to be taken where one is corrupt.

    Returns:
        int64 tensor `[n]`, in `[0, num_examples)`. Those of a whole epoch are all different.
    """
    epochs = positions // num_examples
    seeds = tf.stack([tf.fill(tf.shape(epochs), tf.cast(value, tf.int64)) for value in (seed, attempt)]
                     + [epochs], axis=1)
    last = tf.fill(tf.shape(epochs), tf.constant(num_examples - 1, tf.int64))
    # tf.random.experimental.index_shuffle takes one seed only.
    return tf.raw_ops.RandomIndexShuffle(index=positions % num_examples, seed=seeds, max_index=last)


def augmentation_seed(position, seed):
    """The seed of what is random in the image at a position, int64 `[2]`."""
    return tf.stack([tf.constant(seed ^ _AUGMENTATION, tf.int64), position])
