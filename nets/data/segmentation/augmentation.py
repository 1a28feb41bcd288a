"""What becomes of a decoded image and its label before they are a network's input, in training and in evaluation.

A preprocessing function is called as `fn(image, label, height, width, ignore_label, seed=None)`:

- `image`: uint8 `[image_height, image_width, 3]`, RGB 0-255, of unknown static size or not;
- `label`: int32 `[image_height, image_width]`, class numbers;
- `height`, `width`: int, the size of the result in pixels; None for that of the image, in evaluation only;
- `ignore_label`: int, the label of what has been padded;
- `seed`: int64 or int32 `[2]`, which decides everything random; None takes it from TensorFlow's generators.

It returns the image, float32 `[height, width, 3]` in the range of the preset (see `nets.data.preprocessing`), and the
label, int32 `[height, width]`. Where the image is smaller than the result, the mean pixel of the preset, which has
become 0, and the ignore label fill the bottom and the right.
"""

import functools

import tensorflow.compat.v1 as tf

from nets.data import geometry, preprocessing

SCALE_RANGE = (0.5, 2.0)
SCALE_STEP = 0.25


def get_preprocessing(name, is_training, scale_range=SCALE_RANGE, scale_step=SCALE_STEP, flip=True, **options):
    """Makes a preprocessing function.

    For training it is that of DeepLab (https://github.com/tensorflow/models/tree/master/research/deeplab, with whose
    checkpoints it goes): the image is scaled by a random factor, bilinearly and with its corners aligned, the label by
    its nearest neighbours on the same grid; both are padded to the wanted size where they are smaller, cropped at
    random where they are larger, and half of them are mirrored. For evaluation they are padded and nothing else.

    Args:
        name: str, a preset of `nets.data.preprocessing` that standardises pixels by constants, such as `'vgg'`.
        is_training: bool.
        scale_range: two floats, the least factor and the largest, for training.
        scale_step: float, the distance of neighbouring factors; 0 for any factors in the range.
        flip: whether to mirror half of the images, in training.
        **options: `means`, `deviations` and `channel_order`; see `nets.data.preprocessing.get_standardisation`.

    Returns:
        A function; see the module's docstring.

    Raises:
        ValueError: If the name or the scales are not allowed.
    """
    low, high = scale_range
    if not 0 < low <= high or scale_step < 0:
        raise ValueError('scale_range must be two factors above 0, the smaller one first, and scale_step at least 0; '
                         f'got {low:g}, {high:g} and {scale_step:g}.')
    standardise = preprocessing.get_standardisation(name, **options)
    if not is_training:
        return functools.partial(_evaluate, standardise=standardise)
    return functools.partial(_train, standardise=standardise, scales=_scales(low, high, scale_step), flip=flip)


def _scales(low, high, step):
    """The factors to choose from, or the two ends of their range as a tuple."""
    if step == 0:
        return (low, high)
    # The last one is `high` whether or not the steps fit, as DeepLab has it.
    count = int((high - low) / step + 1)
    return [low + (high - low) * index / max(count - 1, 1) for index in range(count)]


def _evaluate(image, label, height, width, ignore_label, seed=None, *, standardise):
    """Standardises and pads."""
    del seed
    return _pad(standardise(image), label, height, width, ignore_label)


def _train(image, label, height, width, ignore_label, seed=None, *, standardise, scales, flip):
    """Scales, crops, standardises, pads and flips.

    Cropping before padding is the same as after it, as an image that is padded along an axis is not cropped there.
    """
    scale_seed, crop_seed, flip_seed = geometry.split(seed, 3)
    image, label = _scale(image, label, _random_scale(scales, scale_seed))
    size = tf.shape(label)
    part = tf.minimum(size, [height, width])
    start = tf.stack(geometry.random_start(tf.unstack(size), tf.unstack(part), crop_seed))
    image = tf.slice(image, tf.concat([start, [0]], 0), tf.concat([part, [3]], 0))
    image, label = _pad(standardise(image), tf.slice(label, start, part), height, width, ignore_label)
    if flip:
        mirrored = tf.random.stateless_uniform([], flip_seed) < 0.5
        image, label = tf.cond(mirrored, lambda: (image[:, ::-1], label[:, ::-1]), lambda: (image, label))
    return image, label


def _random_scale(scales, seed):
    if isinstance(scales, tuple):
        return tf.random.stateless_uniform([], seed, *scales)
    return tf.constant(scales, tf.float32)[tf.random.stateless_uniform([], seed, 0, len(scales), tf.int32)]


def _scale(image, label, scale):
    """Resizes both; the size is rounded down, to one pixel at least."""
    size = tf.cast(tf.cast(tf.shape(label), tf.float32) * scale, tf.int32)
    size = tf.maximum(size, 1)
    image = tf.raw_ops.ResizeBilinear(images=image[tf.newaxis], size=size, align_corners=True)[0]
    label = tf.raw_ops.ResizeNearestNeighbor(images=label[tf.newaxis, ..., tf.newaxis], size=size, align_corners=True)
    return image, label[0, ..., 0]


def _pad(image, label, height, width, ignore_label):
    if height is None and width is None:
        return image, label
    bottom, right = tf.unstack([height, width] - tf.shape(label))
    image = tf.pad(image, [[0, bottom], [0, right], [0, 0]])
    label = tf.pad(label, [[0, bottom], [0, right]], constant_values=ignore_label)
    image.set_shape([height, width, 3])
    label.set_shape([height, width])
    return image, label
