"""What the heads of dense prediction share: their arg scope, separable convolution, resizing and pooling.

The variables have the names that they have in DeepLab's checkpoints.
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers


def head_arg_scope(weight_decay=1e-4, batch_norm_decay=0.9997, is_training=False, activation_fn=tf.nn.relu):
    """The defaults of the layers of a head, those that DeepLab's checkpoints were trained with.

    Args:
        weight_decay: Factor of the L2 loss of the convolutions' weights, half their sum of squares. Depthwise weights
            and biases are free of it.
        batch_norm_decay: Decay of the moving averages of batch normalisation.
        is_training: Bool or bool tensor: whether batch normalisation uses the statistics of the batch.
        activation_fn: Activation of the convolutions.

    Returns:
        An arg scope, for `slim.arg_scope`.
    """
    with slim.arg_scope([slim.conv2d, slim.separable_conv2d],
                        weights_regularizer=slim.l2_regularizer(weight_decay), activation_fn=activation_fn,
                        normalizer_fn=layers.batch_norm, padding='SAME', stride=1), \
            slim.arg_scope([slim.batch_norm], is_training=is_training, decay=batch_norm_decay, epsilon=1e-5,
                           scale=True) as arg_scope:
        return arg_scope


def separable_conv2d(inputs, num_outputs, kernel_size=3, rate=1, scope=None):
    """A convolution of each channel by itself, then one across channels, each normalised and activated.

    Args:
        inputs: `[batch, height, width, channels]`.
        num_outputs: Number of filters of the second.
        kernel_size: Int, of the first; the second is 1x1.
        rate: Int, the atrous rate of the first.
        scope: Scope, to which `_depthwise` and `_pointwise` are added.

    Returns:
        `[batch, height, width, num_outputs]`.

    Source: Chen et al. 2018 (arXiv:1802.02611), section 3.1; the activation between the two is that of section 4.3.
    """
    net = slim.separable_conv2d(
        inputs, None, kernel_size, rate=rate, weights_initializer=tf.truncated_normal_initializer(stddev=0.33),
        weights_regularizer=None, scope=scope + '_depthwise')
    return layers.conv2d(net, num_outputs, 1, weights_initializer=tf.truncated_normal_initializer(stddev=0.06),
                         scope=scope + '_pointwise')


def classify(inputs, num_classes, kernel_size=1, rate=1, scope='semantic', stddev=0.01):
    """A convolution to logits: with biases, without normaliser and activation.

    Args:
        inputs: `[batch, height, width, channels]`.
        num_classes: Number of filters.
        kernel_size: Int.
        rate: Int, the atrous rate.
        scope: Scope of the layer.
        stddev: Standard deviation of the weights to start with, a truncated normal distribution; 0 for zeros.

    Returns:
        `[batch, height, width, num_classes]`.
    """
    initializer = tf.truncated_normal_initializer(stddev=stddev) if stddev else tf.zeros_initializer()
    return layers.conv2d(inputs, num_classes, kernel_size, rate=rate, activation_fn=None, normalizer_fn=None,
                         weights_initializer=initializer, scope=scope)


def dropout(inputs, keep_prob, is_training, seed=None, scope=None):
    """Zeros in place of some values, at random, and the others divided by the share that is kept.

    Args:
        inputs: Float tensor.
        keep_prob: Share of the values that is kept.
        is_training: Bool or bool tensor: whether to do that at all.
        seed: int64 or int32 `[2]`, which decides the values, so that a step can be repeated; None for TensorFlow's
            generators.
        scope: Name of the operations.

    Returns:
        A tensor like `inputs`.
    """
    if seed is None:
        return slim.dropout(inputs, keep_prob, is_training=is_training, scope=scope)
    if keep_prob == 1 or is_training is False:
        return inputs
    with tf.name_scope(scope or 'dropout'):
        kept = tf.random.stateless_uniform(tf.shape(inputs), seed) < keep_prob
        dropped = tf.where(kept, inputs / keep_prob, tf.zeros_like(inputs))
        return dropped if is_training is True else tf.where(is_training, dropped, inputs)


def size_of(images):
    """Height and width of `[batch, height, width, channels]`: ints where they are known, scalar int32 tensors else."""
    sizes = images.shape.as_list()[1:3]
    if None in sizes:
        dynamic = tf.unstack(tf.shape(images)[1:3])
        sizes = [size if size is not None else dynamic[i] for i, size in enumerate(sizes)]
    return sizes


def resize_bilinear(images, size):
    """Resizes images so that the centres of their corner pixels stay where they are (`align_corners=True`).

    That is how DeepLab resizes: maps of images of a multiple of the stride plus 1 lie on each other exactly.

    Args:
        images: `[batch, height, width, channels]`.
        size: New height and width, ints or scalar int32 tensors.

    Returns:
        `[batch, *size, channels]`, of the type of `images`; `images` themselves if that is known to be their size.
    """
    size = list(size)
    if all(isinstance(n, int) for n in size) and images.shape.as_list()[1:3] == size:
        return images
    # The function around this operation logs that it is deprecated; the one to use has no align_corners.
    net = tf.raw_ops.ResizeBilinear(images=images, size=tf.stack(size), align_corners=True, half_pixel_centers=False)
    return tf.cast(net, images.dtype)


def adaptive_average_pool(images, bins):
    """Averages over `bins` x `bins` parts of images; parts share rows and columns where the size is no multiple.

    Part `i` of `n` rows goes from row `floor(i n / bins)` to before row `ceil((i + 1) n / bins)`.

    Args:
        images: `[batch, height, width, channels]`, of any size, known or not.
        bins: Int.

    Returns:
        `[batch, bins, bins, channels]`.
    """
    def windows(size):
        index = tf.range(bins)
        return index * size // bins, ((index + 1) * size + bins - 1) // bins

    return _average(images, *[windows(size) for size in size_of(images)])


def sliding_average_pool(images, window, stride=1):
    """Averages over all windows that lie within images; one that is too large is cut to the size of the images.

    Args:
        images: `[batch, height, width, channels]`, of any size, known or not.
        window: Height and width of the windows, ints.
        stride: Int.

    Returns:
        `[batch, 1 + (height - window height) // stride, 1 + (width - window width) // stride, channels]`.
    """
    def windows(size, length):
        length = tf.minimum(length, size)
        begin = tf.range(0, size - length + 1, stride)
        return begin, begin + length

    return _average(images, *[windows(size, length) for size, length in zip(size_of(images), window)])


def _average(images, rows, columns):
    """Averages over all pairs of a window of rows and one of columns, each given by its first and the one after its
    last: products with matrices, which cost no more for large windows, and know no limit of sizes."""
    height, width = size_of(images)
    net = tf.einsum('ih,nhwc->niwc', _means(*rows, height, images.dtype), images)
    return tf.einsum('jw,niwc->nijc', _means(*columns, width, images.dtype), net)


def _means(begin, end, size, dtype):
    """A matrix `[windows, size]` whose products with columns are the means over windows of them."""
    index = tf.range(size)
    inside = (index >= begin[:, tf.newaxis]) & (index < end[:, tf.newaxis])
    return tf.cast(inside, dtype) / tf.cast(end - begin, dtype)[:, tf.newaxis]
