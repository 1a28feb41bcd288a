"""Presets that turn a decoded image into the input of a network, for training and for evaluation.

A preset function is called as `fn(image, height, width, seed=None, **options)`:

- `image`: uint8 `[image_height, image_width, 3]`, RGB 0-255, of unknown static size or not;
- `height`, `width`: int, the size of the result in pixels;
- `seed`: int64 or int32 `[2]`, which decides everything random; None takes it from TensorFlow's generators
  (`tf.set_random_seed`). Evaluation has nothing random and takes no notice of it;
- `options`: the further keyword arguments of the functions below.

It returns float32 `[height, width, 3]`, RGB but for `caffe`, whose order is BGR. The ranges: `vgg` and `caffe` about
-124 to 152, `inception` -1 to 1, `torchvision` about -2.1 to 2.6, `cifar` and `digits` mean 0 and standard deviation 1
in each image.
"""

import functools
import math

import tensorflow.compat.v1 as tf

from nets.data import geometry

# `tf.compat.v1.image` lacks the stateless functions.
_stateless = tf.compat.v2.image

# Means of the ILSVRC-2012 training images, RGB, as released with https://arxiv.org/abs/1409.1556. Slim's
# script rounds them to 116.78 and 103.94, which `means` can bring back.
VGG_MEANS = (123.68, 116.779, 103.939)
_VGG_SIDE = 256
_VGG_CROP = 224


def _vgg_side(height, width):
    """256 pixels for the 224 of the paper, and for larger sizes in proportion."""
    return max(_VGG_SIDE, math.ceil(max(height, width) * _VGG_SIDE / _VGG_CROP))


def _vgg_train(image, height, width, seed=None, resize_side_min=None, resize_side_max=None, means=VGG_MEANS):
    """Resizes to a random short side, crops at random, flips half of the images, subtracts the means.

    "Very deep convolutional networks", section 3.1 (multi-scale training); https://arxiv.org/abs/1409.1556.

    Args:
        image, height, width, seed: see the module's docstring.
        resize_side_min: int, the smallest short side in pixels; default 256, or more for crops of more than
            224.
        resize_side_max: int, the largest, included; default twice `resize_side_min`.
        means: three floats, RGB.
    """
    low = resize_side_min or _vgg_side(height, width)
    high = resize_side_max or 2 * low
    if not max(height, width) <= low <= high:
        raise ValueError(f'resize_side_min must be at least the crop of {height}x{width} and at most '
                         f'resize_side_max; got {low} and {high}.')
    side_seed, crop_seed, flip_seed = geometry.split(seed, 3)
    side = tf.random.stateless_uniform([], side_seed, low, high + 1, tf.int32)
    image = geometry.random_crop(geometry.resize_short_side(image, side), height, width, crop_seed)
    return geometry.random_flip(image, flip_seed) - tf.constant(means)


def _vgg_eval(image, height, width, seed=None, resize_side=None, means=VGG_MEANS):
    """Resizes the short side, crops the centre, subtracts the means.

    Args:
        image, height, width, seed: see the module's docstring.
        resize_side: int, the short side in pixels; default 256, or more for crops of more than 224.
        means: three floats, RGB.
    """
    del seed
    side = resize_side or _vgg_side(height, width)
    if side < max(height, width):
        raise ValueError(f'resize_side must be at least the crop of {height}x{width}; got {side}.')
    return geometry.centre_crop(geometry.resize_short_side(image, side), height, width) - tf.constant(means)


def _reversed_channels(fn, *args, **kwargs):
    """What `fn` gives, as BGR: what Caffe's networks and those that Keras took over from it want."""
    return fn(*args, **kwargs)[..., ::-1]


# Means and standard deviations of the ILSVRC-2012 training images, RGB 0-1, as all of torchvision's weights have them.
TORCHVISION_MEANS = (0.485, 0.456, 0.406)
TORCHVISION_DEVIATIONS = (0.229, 0.224, 0.225)


def _torchvision_train(image, height, width, seed=None, area_range=(0.08, 1.0), aspect_ratio_range=(3 / 4, 4 / 3)):
    """Crops a random box, resizes it, flips half of the images, standardises with the data set's moments.

    The boxes of "Going deeper with convolutions", section 6 (https://arxiv.org/abs/1409.4842), as in torchvision's
    reference training of ResNet-50 (https://github.com/pytorch/vision/tree/main/references/classification).

    Args:
        image, height, width, seed: see the module's docstring.
        area_range: two floats, the part of the image's area that the box covers.
        aspect_ratio_range: two floats, width by height of the box.
    """
    box_seed, flip_seed = geometry.split(seed, 2)
    start, size, _ = _stateless.stateless_sample_distorted_bounding_box(
        tf.shape(image), tf.constant([[[0., 0., 1., 1.]]]), box_seed, min_object_covered=0.0,
        aspect_ratio_range=aspect_ratio_range, area_range=area_range, max_attempts=100,
        use_image_if_no_bounding_boxes=True)
    image = geometry.resize_like_pillow(tf.slice(image, start, size), height, width)
    image.set_shape([height, width, 3])
    return _torchvision_standardised(geometry.random_flip(image, flip_seed))


def _torchvision_eval(image, height, width, seed=None, resize_side=None):
    """Resizes the short side with antialiasing, crops the centre, standardises with the data set's moments.

    What the weights `IMAGENET1K_V1` of torchvision were evaluated with.

    Args:
        image, height, width, seed: see the module's docstring.
        resize_side: int, the short side in pixels; default 256, or more for crops of more than 224.
    """
    del seed
    side = resize_side or _vgg_side(height, width)
    if side < max(height, width):
        raise ValueError(f'resize_side must be at least the crop of {height}x{width}; got {side}.')
    size = tf.shape(image)[:2]
    new_size = size * side // tf.reduce_min(size)
    image = geometry.resize_like_pillow(image, new_size[0], new_size[1])
    # Pillow's users round half of the surplus to the nearest even number of pixels.
    surplus = tf.cast(tf.rint(tf.cast(tf.shape(image)[:2] - [height, width], tf.float32) / 2), tf.int32)
    return _torchvision_standardised(geometry.crop(image, surplus[0], surplus[1], height, width))


def _torchvision_standardised(image):
    return (image / 255. - tf.constant(TORCHVISION_MEANS)) / tf.constant(TORCHVISION_DEVIATIONS)


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
_RESIZERS = (tf.raw_ops.ResizeBilinear, tf.raw_ops.ResizeNearestNeighbor, tf.raw_ops.ResizeBicubic,
             tf.raw_ops.ResizeArea)


def _inception_train(image, height, width, seed=None, area_range=(0.05, 1.0),
                     aspect_ratio_range=(3 / 4, 4 / 3), colour=True, flip=True):
    """Crops a random box, resizes it by a random method, flips half of the images, changes the colours.

    "Going deeper with convolutions", section 6; https://arxiv.org/abs/1409.4842.

    Args:
        image, height, width, seed: see the module's docstring.
        area_range: two floats, the part of the image's area that the box covers, never less than 0.1.
        aspect_ratio_range: two floats, width by height of the box.
        colour: whether to change brightness, saturation, hue and contrast.
        flip: whether to mirror half of the images.
    """
    box_seed, resize_seed, flip_seed, colour_seed = geometry.split(seed, 4)
    start, size, _ = _stateless.stateless_sample_distorted_bounding_box(
        tf.shape(image), tf.constant([[[0., 0., 1., 1.]]]), box_seed, min_object_covered=0.1,
        aspect_ratio_range=aspect_ratio_range, area_range=area_range, max_attempts=100,
        use_image_if_no_bounding_boxes=True)
    image = tf.image.convert_image_dtype(tf.slice(image, start, size), tf.float32)[tf.newaxis]
    method = tf.random.stateless_uniform([], resize_seed, 0, len(_RESIZERS), tf.int32)
    image = tf.switch_case(method, [functools.partial(resize, images=image, size=[height, width])
                                    for resize in _RESIZERS])[0]
    image.set_shape([height, width, 3])
    if flip:
        image = geometry.random_flip(image, flip_seed)
    if colour:
        image = _random_colours(image, colour_seed)
    return (tf.clip_by_value(image, 0., 1.) - 0.5) * 2.


def _random_colours(image, seed):
    seeds = geometry.split(seed, 1 + len(_COLOUR_CHANGES))

    def changed(order):
        result = image
        for name, change_seed in zip(order, seeds[1:], strict=True):
            result = _COLOUR_CHANGES[name](result, seed=change_seed)
        return result

    order = tf.random.stateless_uniform([], seeds[0], 0, len(_COLOUR_ORDERS), tf.int32)
    return tf.switch_case(order, [functools.partial(changed, names) for names in _COLOUR_ORDERS])


def _inception_eval(image, height, width, seed=None, central_fraction=0.875):
    """Crops the centre, resizes it; -1 to 1.

    Args:
        image, height, width, seed: see the module's docstring.
        central_fraction: float in (0, 1], the part of either side that is kept.
    """
    del seed
    if not 0 < central_fraction <= 1:
        raise ValueError(f'central_fraction must be more than 0 and at most 1; got {central_fraction}.')
    image = geometry.central_fraction(tf.image.convert_image_dtype(image, tf.float32), central_fraction)
    return (geometry.resize(image, height, width) - 0.5) * 2.


def _small_train(image, height, width, seed=None, padding=4, flip=True):
    """Pads with zeros and crops at random, flips half of the images, standardises each image.

    "Deep residual learning for image recognition", section 4.2; https://arxiv.org/abs/1512.03385. An image of
    another size than `height` x `width` is first resized, its shape kept, so that it just covers that size.

    Args:
        image, height, width, seed: see the module's docstring.
        padding: int, pixels of zeros on each side, at the size of the result.
        flip: whether to mirror half of the images.
    """
    crop_seed, flip_seed = geometry.split(seed, 2)
    image = tf.pad(geometry.cover(image, height, width), [[padding, padding], [padding, padding], [0, 0]])
    image = geometry.random_crop(image, height, width, crop_seed)
    if flip:
        image = geometry.random_flip(image, flip_seed)
    return tf.image.per_image_standardization(image)


def _small_eval(image, height, width, seed=None):
    """Resizes so that the image covers the size, crops the centre, standardises each image.

    Args:
        image, height, width, seed: see the module's docstring.
    """
    del seed
    return tf.image.per_image_standardization(geometry.centre_crop(geometry.cover(image, height, width), height, width))


# Preset -> its function for training and for evaluation.
PREPROCESSING = {
    'vgg': (_vgg_train, _vgg_eval),
    'caffe': (functools.partial(_reversed_channels, _vgg_train), functools.partial(_reversed_channels, _vgg_eval)),
    'inception': (_inception_train, _inception_eval),
    'torchvision': (_torchvision_train, _torchvision_eval),
    'cifar': (_small_train, _small_eval),
    # Digits and letters have a right way round.
    'digits': (functools.partial(_small_train, flip=False), _small_eval),
}


def get_preprocessing(name, is_training):
    """Looks up a preset.

    Args:
        name: str, a key of `PREPROCESSING`.
        is_training: bool, whether to return the random changes for training or the fixed ones for evaluation.

    Returns:
        A function `fn(image, height, width, seed=None, **options)`, see the module's docstring.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in PREPROCESSING:
        raise ValueError(f'The name of a preprocessing must be one of {", ".join(PREPROCESSING)}; '
                         f'got {name!r}.')
    training, evaluation = PREPROCESSING[name]
    return training if is_training else evaluation
