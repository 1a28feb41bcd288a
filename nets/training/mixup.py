"""Mixup: training on weighted means of pairs of images, and of their labels.

Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018 (arXiv:1710.09412), equation 1. As in the
paper's code, a batch has one weight, and its images are paired with the same ones in another order.
"""

import collections

import tensorflow.compat.v1 as tf

# weight: scalar float32 in [0, 1], of an image against its partner. partners: int32 `[batch]`, their positions.
Mixture = collections.namedtuple('Mixture', ('weight', 'partners'))


def draw(alpha, batch_size, seed):
    """Draws a weight from the distribution Beta(alpha, alpha), and a permutation.

    Args:
        alpha: Float above 0.
        batch_size: Scalar int32 tensor.
        seed: int64 tensor `[2]`, which decides everything.

    Returns:
        A `Mixture`.
    """
    seeds = tf.random.experimental.stateless_split(seed, 2)
    # Two gamma variables, one over the sum of both. Where alpha is small both may be too small for a float.
    gammas = tf.random.stateless_gamma([2], seeds[0], alpha, dtype=tf.float64)
    total = tf.reduce_sum(gammas)
    weight = tf.where(total > 0, gammas[0] / total, tf.ones_like(total))
    order = tf.random.stateless_uniform([batch_size], seeds[1], None, None, tf.int64)
    return Mixture(tf.cast(weight, tf.float32), tf.argsort(order, stable=True))


def mix(values, mixture):
    """Weighted means of the examples and their partners.

    Args:
        values: Float tensor `[batch, …]`.
        mixture: `Mixture`.

    Returns:
        A tensor like `values`.
    """
    weight = tf.cast(mixture.weight, values.dtype)
    return weight * values + (1 - weight) * tf.gather(values, mixture.partners)
