"""Resizing, cropping and flipping of one image, and the seeds for what is random in it."""

import numpy as np
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


def resize_nearest(image, height, width):
    """What `tf.raw_ops.ResizeNearestNeighbor` gives, without half-pixel centres, in two thirds of the time.

    Args:
        image: `[image_height, image_width, 3]` of any type, the faster the smaller.
        height, width: ints.
    """
    def pick(matrix, length):
        old_length = tf.shape(matrix)[0]
        # In float32, as TensorFlow has it.
        places = np.arange(length, dtype=np.float32) * (tf.cast(old_length, tf.float32) / length)
        return tf.gather(matrix, tf.minimum(tf.cast(places, tf.int32), old_length - 1))

    return _resize_by_axes(image, height, width, pick)


_KERNELS = {'bilinear': 'triangle', 'bicubic': 'keyscubic'}


def resize_like_pillow(image, height, width, method='bilinear'):
    """Bilinear (or bicubic) with half-pixel centres and antialiasing; float32, whole numbers from 0 to 255.

    As Pillow does it: first the rows are resized and rounded, then the columns.
    """
    def average(matrix, length):
        scale = tf.cast(length, tf.float32) / tf.cast(tf.shape(matrix)[0], tf.float32)
        # An image of one row, with many channels: rows would be shared out one by one to threads, which costs more
        # than the resizing.
        resized = tf.raw_ops.ScaleAndTranslate(
            images=matrix[tf.newaxis, tf.newaxis], size=[1, length], scale=[1., scale], translation=[0., 0.],
            kernel_type=_KERNELS[method], antialias=True)[0, 0]
        whole = tf.floor(resized + 0.5)
        return tf.clip_by_value(whole, 0., 255.) if method == 'bicubic' else whole  # averages need no clipping

    return _resize_by_axes(tf.cast(image, tf.float32), height, width, average)


def _resize_by_axes(image, height, width, resize_columns):
    """Resizes first the rows of an image, then the columns.

    Args:
        image: `[image_height, image_width, 3]`.
        height, width: ints or int32 scalars.
        resize_columns: A function from a matrix and a new length of its columns to the matrix with these.
    """
    # Matrices, as TensorFlow takes several times as long to transpose three dimensions, and to resize three channels.
    old_height, old_width, _ = tf.unstack(tf.shape(image))
    pixels = tf.transpose(tf.reshape(image, [old_height, old_width * 3]))
    pixels = resize_columns(tf.reshape(pixels, [old_width, 3 * old_height]), width)
    pixels = tf.transpose(tf.reshape(pixels, [width * 3, old_height]))
    return tf.reshape(resize_columns(pixels, height), [height, width, 3])


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
