"""The loss of a segmentation: cross entropy per pixel, some pixels ignored, classes weighted, hard pixels mined."""

import tensorflow.compat.v1 as tf

from nets.training import losses

_CROSS_ENTROPY = 'cross_entropy'


def segmentation_losses(logits, labels, ignore_label=255, class_weights=None, top_k_percent_pixels=1.0,
                        hard_example_mining_step=0, global_step=None):
    """Mean cross entropy per pixel, and regularization.

    The logits are first resized to the labels, bilinearly and with their corners aligned, as in "Rethinking atrous
    convolution for semantic image segmentation", section 4.1 (https://arxiv.org/abs/1706.05587), and in DeepLab's
    `train_utils`.

    The sum of the pixels' losses, each times the weight of its class, is divided by the number of the pixels that are
    not ignored, whatever their weights. Without any the loss is 0. With mining, both the sum and the number are those
    of the hardest pixels only, of all images of the batch together.

    Args:
        logits: float tensor `[batch, logits_height, logits_width, classes]`.
        labels: int tensor `[batch, height, width]`, in `[0, classes)` or the ignore label.
        ignore_label: int, the label of pixels that count for nothing; it may be a class.
        class_weights: sequence of a float for each class; None for 1 each.
        top_k_percent_pixels: float in (0, 1], the share of a batch's pixels, ignored ones included, that are mined:
            those with the largest weighted losses.
        hard_example_mining_step: int, the step from which on it is `top_k_percent_pixels`. Before, it falls from 1
            linearly; 0 for no such phase.
        global_step: scalar integer tensor; needed where `hard_example_mining_step` is not 0.

    Returns:
        A `nets.training.losses.Losses` of scalar float32 tensors: `total` is the sum of the other two, and
        `regularization` sums the graph collection REGULARIZATION_LOSSES (0 when it is empty).

    Raises:
        ValueError: If an argument is not allowed.
    """
    cross_entropy = cross_entropy_loss(logits, labels, ignore_label, class_weights, top_k_percent_pixels,
                                       hard_example_mining_step, global_step)
    regularization = tf.losses.get_regularization_loss()
    return losses.Losses(cross_entropy + regularization, cross_entropy, regularization)


def cross_entropy_loss(logits, labels, ignore_label=255, class_weights=None, top_k_percent_pixels=1.0,
                       hard_example_mining_step=0, global_step=None):
    """The mean cross entropy per pixel alone, such as that of an auxiliary head; see `segmentation_losses`."""
    num_classes = logits.shape.as_list()[-1]
    _check(num_classes, class_weights, top_k_percent_pixels, hard_example_mining_step, global_step)
    with tf.name_scope(_CROSS_ENTROPY):
        logits = resize_to(tf.cast(logits, tf.float32), labels)
        labels = tf.cast(labels, tf.int32)
        counted = tf.not_equal(labels, ignore_label)
        # Where it is ignored a label may be no class, which has no loss: not a number, or an error.
        classes = tf.where(counted, labels, tf.zeros_like(labels))
        pixel_losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=classes, logits=logits)
        pixel_losses = tf.where(counted, pixel_losses, tf.zeros_like(pixel_losses))
        if class_weights is not None:
            pixel_losses *= tf.gather(tf.constant(class_weights, tf.float32), classes)
        count = tf.count_nonzero(counted, dtype=tf.int32)
        if top_k_percent_pixels < 1:
            pixel_losses, count = _mine(pixel_losses, count, top_k_percent_pixels, hard_example_mining_step,
                                        global_step)
        return tf.reduce_sum(pixel_losses) / tf.cast(tf.maximum(count, 1), tf.float32)


def resize_to(logits, labels):
    """Resizes logits to the height and width of labels, bilinearly and with aligned corners; as they are if equal."""
    size = labels.shape.as_list()[1:3]
    if None not in size and logits.shape.as_list()[1:3] == size:
        return logits
    resized = tf.image.resize_bilinear(logits, tf.shape(labels)[1:3], align_corners=True)
    resized.set_shape([None, *size, None])
    return resized


def _mine(pixel_losses, count, share, last_step, global_step):
    """The hardest pixels' losses, and how many of them are not ignored.

    An ignored pixel's loss is 0, the least there is: none is taken as long as there are others. (DeepLab counts the
    losses other than 0, which are as many but for pixels without any loss.)
    """
    if last_step:
        progress = tf.minimum(tf.cast(global_step, tf.float32) / last_step, 1.0)
        share = progress * share + (1 - progress)
    flat = tf.reshape(pixel_losses, [-1])
    chosen = tf.cast(share * tf.cast(tf.size(flat), tf.float32), tf.int32)
    hardest, _ = tf.nn.top_k(flat, chosen, sorted=False)
    return hardest, tf.minimum(chosen, count)


def _check(num_classes, class_weights, share, last_step, global_step):
    if class_weights is not None and (len(class_weights) != num_classes or min(class_weights) < 0):
        raise ValueError(f'class_weights must be {num_classes} numbers, one for each class and none below 0; got '
                         f'{list(class_weights)}.')
    if not 0 < share <= 1:
        raise ValueError(f'top_k_percent_pixels must be above 0 and at most 1; got {share}.')
    if last_step < 0 or (last_step and global_step is None):
        raise ValueError(f'hard_example_mining_step must be at least 0, and other than 0 with a global_step only; got '
                         f'{last_step}{" without one" if last_step > 0 else ""}.')
