"""Random changes of an image's colours, as in slim's training of Inception."""

import functools

import tensorflow.compat.v1 as tf

from nets.data import geometry

# `tf.compat.v1.image` lacks the stateless functions.
_stateless = tf.compat.v2.image

# Slim's four orders of the same four changes, which do not commute.
_COLOUR_ORDERS = (
    ('brightness', 'saturation', 'hue', 'contrast'),
    ('saturation', 'brightness', 'contrast', 'hue'),
    ('contrast', 'hue', 'brightness', 'saturation'),
    ('hue', 'saturation', 'contrast', 'brightness'),
)

_COLOUR_CHANGES = {
    'brightness': functools.partial(_stateless.stateless_random_brightness, max_delta=32 / 255),
    'saturation': functools.partial(_stateless.stateless_random_saturation, lower=0.5, upper=1.5),
    'hue': functools.partial(_stateless.stateless_random_hue, max_delta=0.2),
    'contrast': functools.partial(_stateless.stateless_random_contrast, lower=0.5, upper=1.5),
}


def change_at_random(image, seed):
    """Changes brightness, saturation, hue and contrast of an image, in one of four orders.

    Args:
        image: float32 `[height, width, 3]`, RGB 0-1.
        seed: int64 or int32 `[2]`.

    Returns:
        A tensor of the same shape, not clipped.
    """
    seeds = geometry.split(seed, 1 + len(_COLOUR_CHANGES))

    def changed(order):
        result = image
        for name, change_seed in zip(order, seeds[1:], strict=True):
            result = _COLOUR_CHANGES[name](result, seed=change_seed)
        return result

    order = tf.random.stateless_uniform([], seeds[0], 0, len(_COLOUR_ORDERS), tf.int32)
    return tf.switch_case(order, [functools.partial(changed, names) for names in _COLOUR_ORDERS])
