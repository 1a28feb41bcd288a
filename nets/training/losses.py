"""The loss of a classifier: cross entropy with label smoothing, and what the network's regularizers add."""

import collections

import tensorflow.compat.v1 as tf

Losses = collections.namedtuple('Losses', ('total', 'cross_entropy', 'regularization'))


def classification_losses(logits, labels, label_smoothing=0.0, mix_labels=None):
    """Mean softmax cross entropy and regularization.

    Label smoothing gives each class `label_smoothing / classes` and the label the rest (Szegedy et al.,
    "Rethinking the Inception Architecture", 2016, section 7).

    Args:
        logits: Float tensor `[batch, classes]`.
        labels: Integer tensor `[batch]`, in [0, classes).
        label_smoothing: Float in [0, 1).
        mix_labels: Function of the labels' distributions, float `[batch, classes]`, that returns others; or None.

    Returns:
        `Losses` of scalar float32 tensors; `total` is the sum of the other two, and `regularization` sums the
        graph collection REGULARIZATION_LOSSES (0 when it is empty).
    """
    logits = tf.cast(logits, tf.float32)
    targets = tf.one_hot(labels, logits.shape.as_list()[-1])
    if mix_labels:
        targets = mix_labels(targets)
    cross_entropy = tf.losses.softmax_cross_entropy(targets, logits, label_smoothing=label_smoothing)
    regularization = tf.losses.get_regularization_loss()
    return Losses(cross_entropy + regularization, cross_entropy, regularization)
