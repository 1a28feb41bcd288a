"""Resizing, cropping and flipping of one image, and the seeds for what is random in it."""

import tensorflow.compat.v1 as tf

from nets.data import images

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


def resize_window(image, size, start, window):
    """What cropping the result of `resize` gives (on x86 to the bit), of no more pixels than that takes.

    Args:
        image: uint8 `[image_height, image_width, 3]`, or an `images.Encoded`.
        size: two int32 scalars, what the whole image would be resized to.
        start: two int32 scalars, top and left of the window there.
        window: two ints, its height and width.
    """
    old_size = tf.unstack(images.shape_of(image)[:2])
    axes = [_neighbours(*axis) for axis in zip(old_size, size, start, window, strict=True)]
    first = tf.stack([low[0] for low, _, _ in axes] + [0])
    last = tf.stack([high[-1] for _, high, _ in axes] + [2])

    def interpolate(matrix, axis):
        low, high, part = axes[axis]
        low, high = (tf.cast(tf.gather(matrix, rows - first[axis]), tf.float32) for rows in (low, high))
        return low + (high - low) * part[:, tf.newaxis]

    return _resize_by_axes(images.crop(image, first, last + 1 - first), window, interpolate)


def _places(old_length, new_length, start, count):
    """Where in a row the pixels of the resized row are, in float32 as TensorFlow has it; float32 `[count]`."""
    scale = tf.cast(old_length, tf.float32) / tf.cast(new_length, tf.float32)
    return tf.cast(start + tf.range(count), tf.float32) * scale


def _neighbours(old_length, new_length, start, count):
    """Between which two pixels those of a resized row are, and how far from the first; int32 and float32 `[count]`."""
    places = _places(old_length, new_length, start, count)
    low = tf.floor(places)
    high = tf.minimum(tf.cast(tf.ceil(places), tf.int32), old_length - 1)
    return tf.cast(low, tf.int32), high, places - low


def resize_nearest(image, height, width):
    """What `tf.raw_ops.ResizeNearestNeighbor` gives, without half-pixel centres, in four fifths of the time.

    Args:
        image: `[image_height, image_width, 3]` of any type, the faster the smaller.
        height, width: ints.
    """
    for axis, length in enumerate((height, width)):
        old_length = tf.shape(image)[axis]
        places = tf.cast(_places(old_length, length, 0, length), tf.int32)
        image = tf.gather(image, tf.minimum(places, old_length - 1), axis=axis)
    return image


_KERNELS = {'bilinear': 'triangle', 'bicubic': 'keyscubic'}


def resize_like_pillow(image, height, width, method='bilinear'):
    """Bilinear (or bicubic) with half-pixel centres and antialiasing; float32, whole numbers from 0 to 255.

    As Pillow does it: first the rows are resized and rounded, then the columns.
    """
    size = height, width

    def average(matrix, axis):
        length = size[axis]
        scale = tf.cast(length, tf.float32) / tf.cast(tf.shape(matrix)[0], tf.float32)
        # An image of one row, with many channels: rows would be shared out one by one to threads, which costs more
        # than the resizing.
        resized = tf.raw_ops.ScaleAndTranslate(
            images=matrix[tf.newaxis, tf.newaxis], size=[1, length], scale=[1., scale], translation=[0., 0.],
            kernel_type=_KERNELS[method], antialias=True)[0, 0]
        whole = tf.floor(resized + 0.5)
        return tf.clip_by_value(whole, 0., 255.) if method == 'bicubic' else whole  # averages need no clipping

    return _resize_by_axes(tf.cast(image, tf.float32), size, average)


def _resize_by_axes(image, size, resize_columns):
    """Resizes first the rows of an image, then the columns.

    Args:
        image: `[image_height, image_width, 3]`.
        size: the new height and width, ints or int32 scalars.
        resize_columns: a function from a matrix and an axis, 0 or 1, to the matrix with columns of the new size along
            that axis.
    """
    # Matrices, as TensorFlow takes several times as long to transpose three dimensions, and to resize three channels.
    height, width = size
    old_height, old_width, _ = tf.unstack(tf.shape(image))
    pixels = tf.transpose(tf.reshape(image, [old_height, old_width * 3]))
    pixels = resize_columns(tf.reshape(pixels, [old_width, 3 * old_height]), 1)
    pixels = tf.transpose(tf.reshape(pixels, [width * 3, old_height]))
    return tf.reshape(resize_columns(pixels, 0), [height, width, 3])


def short_side_size(image, side):
    """Height and width for a short side, int32 scalars; the long side is rounded, in float32 as slim has it.

    Args:
        image: `[image_height, image_width, 3]`, or an `images.Encoded`.
        side: int or int32 scalar.
    """
    size = tf.cast(images.shape_of(image)[:2], tf.float32)
    scale = tf.cast(side, tf.float32) / tf.reduce_min(size)
    return tf.unstack(tf.cast(tf.rint(size * scale), tf.int32))


def resize_short_side(image, side):
    """Keeps the shape."""
    return resize(image, *short_side_size(image, side))


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


def random_start(size, window, seed):
    """Top and left of a random window, int32 scalars; all places are equally likely.

    Args:
        size: two int32 scalars, height and width of the image.
        window: two ints or int32 scalars, height and width of the window.
        seed: see `split`.
    """
    return [tf.random.stateless_uniform([], axis_seed, 0, length - part + 1, tf.int32)
            for axis_seed, length, part in zip(split(seed, 2), size, window, strict=True)]


def random_crop(image, height, width, seed):
    return crop(image, *random_start(tf.unstack(tf.shape(image)[:2]), (height, width), seed), height, width)


def central_fraction(image, fraction):
    """`tf.image.central_crop` of TensorFlow 1; TensorFlow 2's rounds the fraction if the size is unknown."""
    size = tf.shape(image)[:2]
    exact = tf.cast(size, tf.float64)
    start = tf.cast((exact - exact * fraction) / 2, tf.int32)
    return tf.slice(image, tf.concat([start, [0]], 0), tf.concat([size - 2 * start, [3]], 0))


def random_flip(image, seed):
    return _stateless.stateless_random_flip_left_right(image, seed=seed)
