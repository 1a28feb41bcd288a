"""From a batch to its losses: mixup, the network in the wanted type, cross entropy."""

import contextlib

import tensorflow.compat.v1 as tf

from nets.training import losses, mixed_precision, mixup, zero_gamma


def build(config, task, batch, position):
    """Builds the network on a batch.

    Args:
        config: A `TrainConfig`.
        task: An `inputs.Task`.
        batch: Dict of tensors: `image`, float `[batch, height, width, channels]`, and `label`, integer `[batch]`.
        position: Scalar int64 tensor, the number of the batch within the run; what is random follows from it and the
            seed.

    Returns:
        `losses.Losses`, and the images as the network sees them, float32 `[batch, height, width, channels]`.
    """
    images, mix_labels = batch['image'], None
    if config.mixup_alpha:
        seed = tf.stack([tf.constant(config.seed or 0, tf.int64), position])
        mixture = mixup.draw(config.mixup_alpha, tf.shape(images)[0], seed)
        images = mixup.mix(images, mixture)

        def mix_labels(targets):
            return mixup.mix(targets, mixture)

    logits, _ = run_network(config, task.network_fn, images)
    return losses.classification_losses(logits, batch['label'], config.label_smoothing, mix_labels), images


def run_network(config, network_fn, images):
    """Builds a network in the wanted type, with the wanted initial values.

    Args:
        config: A `RunConfig`.
        network_fn: Function of images.
        images: Float tensor `[batch, height, width, channels]`.

    Returns:
        What the function returns.
    """
    with contextlib.ExitStack() as scopes:
        for getter in _getters(config):
            scopes.enter_context(tf.variable_scope(
                tf.get_variable_scope(), custom_getter=getter, auxiliary_name_scope=False))
        return network_fn(tf.cast(images, config.mixed_precision) if config.mixed_precision else images)


def _getters(config):
    """The custom getters of the network's variables."""
    getters = []
    if config.mixed_precision:
        getters.append(mixed_precision.variable_getter(tf.as_dtype(config.mixed_precision)))
    if config.zero_last_gamma:
        getters.append(zero_gamma.variable_getter(config.model_name))
    return getters
