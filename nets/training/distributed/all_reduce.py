"""Sums and means over all workers, as operations of a graph.

Summing many small tensors costs a round trip each, and summing all at once cannot begin before the last gradient is
there. So they are laid end to end in a few buckets, the last variable's first, as backprop comes to these first: the
sum of a bucket runs while the gradients of the next are computed (as in Li et al. 2020, "PyTorch Distributed").
"""

import itertools

import tensorflow.compat.v1 as tf

_BUCKET_BYTES = 25e6


def mean(cluster, tensors, bucket_bytes=_BUCKET_BYTES):
    """Means over all workers; each of them gets the same bits, in every run.

    Args:
        cluster: A `nets.training.distributed.cluster.Cluster` that has been joined.
        tensors: List of dense float32 tensors of known shapes, the same on all workers.
        bucket_bytes: How much is summed at a time; a tensor above that is a bucket of its own.

    Returns:
        List of tensors, in the same order. With one worker, those given.

    Raises:
        ValueError: A tensor is not float32 or its shape is not known.
    """
    for one in tensors:
        if one.dtype.base_dtype != tf.float32 or not one.shape.is_fully_defined():
            raise ValueError(f'Only float32 tensors of known shapes can be averaged over workers; got {one}.')
    if cluster.num_workers == 1:
        return list(tensors)
    means = {}
    before = []
    for bucket in buckets([one.shape.num_elements() * 4 for one in tensors], bucket_bytes):
        flat = tf.concat([tf.reshape(tensors[number], [-1]) for number in bucket], 0)
        # One bucket after the other: the first is there first, and accelerators need the same order everywhere.
        with tf.control_dependencies(before):
            reduced = _reduce(cluster, flat, final_op='Div')
        before = [reduced.op]
        parts = tf.split(reduced, [tensors[number].shape.num_elements() for number in bucket])
        for number, part in zip(bucket, parts, strict=True):
            means[number] = tf.reshape(part, tensors[number].shape)
    return [means[number] for number in range(len(tensors))]


def buckets(sizes, bucket_bytes):
    """Groups tensors, from the last to the first.

    Args:
        sizes: List of their sizes in bytes.
        bucket_bytes: Sum of the sizes in a group, unless one alone is above it.

    Returns:
        List of lists of indices.
    """
    groups, filled = [], 0
    for number in reversed(range(len(sizes))):
        if not groups or filled + sizes[number] > bucket_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(number)
        filled += sizes[number]
    return groups


def total(cluster, tensor):
    """The sum of a small tensor over all workers, by which they decide alike.

    Args:
        cluster: As in `mean`.
        tensor: float32, the same shape on all workers.

    Returns:
        A tensor of the same shape; with one worker, the one given.
    """
    return tensor if cluster.num_workers == 1 else _reduce(cluster, tensor, accelerated=False)


def mean_with_statistics(reduce, tensors, updates):
    """Means over all workers of tensors, and of the moving statistics of batch norm.

    Batch norm sees the images of its own worker, and moves its statistics by them; then they are set to the means, in
    every step, so that all workers have the same and it does not matter when a checkpoint is written. Statistics that
    nothing moves stay as they are, bit by bit.

    Args:
        reduce: Function from a list of tensors to the list of their means over all workers.
        tensors: List of tensors.
        updates: List of operations that move statistics.

    Returns:
        The list of means, and the list of operations that move statistics and set them to the means.
    """
    moved = {op.inputs[0].op for op in updates}
    variables = [one for one in tf.model_variables() if getattr(one, 'handle', one).op in moved]
    with tf.control_dependencies(updates):
        statistics = [one.read_value() for one in variables]
    means = reduce([*tensors, *statistics])
    assigned = [tf.assign(one, mean).op for one, mean in zip(variables, means[len(tensors):], strict=True)]
    return means[:len(tensors)], [*updates, *assigned]


def broadcast(cluster, variables):
    """Gives variables the chief's values.

    Args:
        cluster: As in `mean`.
        variables: List of numeric variables, the same on all workers.

    Returns:
        An operation, to be run by all workers.
    """
    if cluster.num_workers == 1:
        return tf.no_op()
    assigned = []
    by_type = itertools.groupby(sorted(variables, key=_type_name), _type_name)
    for group in (list(group) for _, group in by_type):
        sizes = [one.shape.num_elements() for one in group]
        flat = _from_chief(cluster, tf.concat([tf.reshape(one.read_value(), [-1]) for one in group], 0))
        assigned += [tf.assign(one, tf.reshape(part, one.shape)).op
                     for one, part in zip(group, tf.split(flat, sizes), strict=True)]
    return tf.group(*assigned)


def _type_name(variable):
    return variable.dtype.base_dtype.name


def _reduce(cluster, tensor, final_op='Id', accelerated=True):
    return cluster.collective(tf.raw_ops.CollectiveReduceV2, accelerated, input=tensor, ordering_token=[],
                              merge_op='Add', final_op=final_op)


def _from_chief(cluster, flat):
    """The chief's value of a flat tensor."""
    if cluster.is_chief:
        return cluster.collective(tf.raw_ops.CollectiveBcastSendV2, input=flat)
    return cluster.collective(tf.raw_ops.CollectiveBcastRecvV2, T=flat.dtype, shape=flat.shape)
