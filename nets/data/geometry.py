"""Resizing, cropping and flipping of one image, and the seeds for what is random in it."""

import tensorflow.compat.v1 as tf

# `tf.compat.v1.image` lacks the stateless functions.
_stateless = tf.compat.v2.image


def split(seed, count):
    """Independent seeds, `count` int32 tensors `[2]`."""
    if seed is None:
        seed = tf.random.uniform([2], maxval=tf.int64.max, dtype=tf.int64)
    return tf.unstack(tf.random.stateless_uniform([count, 2], seed, minval=None, maxval=None, dtype=tf.int32))


def resize(image, height, width):
    """Bilinear without half-pixel centres, as TensorFlow 1 did it; float32."""
    return tf.raw_ops.ResizeBilinear(images=image[tf.newaxis], size=[height, width])[0]


# To whole numbers; averages of neighbours need no clipping.
_TO_LEVELS = {'bilinear': tf.cast, 'bicubic': tf.saturate_cast}


def resize_like_pillow(image, height, width, method='bilinear'):
    """Bilinear (or bicubic) with half-pixel centres and antialiasing; uint8.

    As Pillow does it: first the rows are resized and rounded, then the columns.
    """
    for size in (width, height):
        image = _resize_first(tf.transpose(image, [1, 0, 2]), size, method)
    return image


def _resize_first(image, size, method):
    """Resizes the first dimension; uint8.

    What shares a place in that dimension is seen as the channels of one column, as TensorFlow is several times faster
    with many channels than with three.
    """
    length, others, _ = tf.unstack(tf.shape(image))
    resized = _stateless.resize(tf.reshape(image, [length, 1, others * 3]), [size, 1], method=method, antialias=True)
    return _TO_LEVELS[method](tf.reshape(resized, [size, others, 3]) + 0.5, tf.uint8)


def resize_short_side(image, side):
    """Keeps the shape; the long side is rounded to whole pixels, in float32 as slim has it."""
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = tf.cast(side, tf.float32) / tf.reduce_min(size)
    height, width = tf.unstack(tf.cast(tf.rint(size * scale), tf.int32))
    return resize(image, height, width)


def cover(image, height, width):
    """The smallest resized image that covers `height` x `width`, its shape kept; float32."""
    size = tf.shape(image)[:2]
    scale = tf.reduce_max([height, width] / size)
    covering = tf.maximum(tf.cast(tf.rint(tf.cast(size, tf.float64) * scale), tf.int32), [height, width])
    return resize(image, covering[0], covering[1])


def crop(image, top, left, height, width):
    image = tf.slice(image, tf.stack([top, left, 0]), [height, width, 3])
    image.set_shape([height, width, 3])
    return image


def centre_crop(image, height, width):
    surplus = tf.shape(image)[:2] - [height, width]
    return crop(image, surplus[0] // 2, surplus[1] // 2, height, width)


def random_crop(image, height, width, seed):
    choices = tf.unstack(tf.shape(image)[:2] - [height, width] + 1)
    top, left = (tf.random.stateless_uniform([], axis_seed, 0, count, tf.int32)
                 for axis_seed, count in zip(split(seed, 2), choices, strict=True))
    return crop(image, top, left, height, width)


def central_fraction(image, fraction):
    """`tf.image.central_crop` of TensorFlow 1; TensorFlow 2's rounds the fraction if the size is unknown."""
    size = tf.shape(image)[:2]
    exact = tf.cast(size, tf.float64)
    start = tf.cast((exact - exact * fraction) / 2, tf.int32)
    return tf.slice(image, tf.concat([start, [0]], 0), tf.concat([size - 2 * start, [3]], 0))


def random_flip(image, seed):
    return _stateless.stateless_random_flip_left_right(image, seed=seed)
