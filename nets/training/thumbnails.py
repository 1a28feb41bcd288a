"""Small pictures of images of any size, for reports."""

import tensorflow.compat.v1 as tf

from nets.data import images

_SIDE = 128


def thumbnails(encoded):
    """Shrinks images so that the longer side is at most 128 pixels; small ones stay as they are.

    Args:
        encoded: Sequence of bytes, images that `nets.data.images.decode` reads.

    Returns:
        List of bytes, PNG files.
    """
    if not encoded:
        return []
    with tf.Graph().as_default(), tf.Session() as session:
        source = tf.placeholder(tf.string, [])
        image = images.decode(source)
        size = tf.cast(tf.shape(image)[:2], tf.float32)
        scale = tf.minimum(1.0, _SIDE / tf.reduce_max(size))
        smaller = tf.maximum(1, tf.cast(tf.round(size * scale), tf.int32))
        shrunk = tf.image.resize_area(image[tf.newaxis], smaller)[0]
        png = tf.image.encode_png(tf.cast(tf.round(shrunk), tf.uint8))
        return [session.run(png, {source: one}) for one in encoded]
