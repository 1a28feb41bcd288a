"""Presets that turn a decoded image into the input of a network, for training and for evaluation.

A preset function is called as `fn(image, height, width, seed=None, **options)`:

- `image`: uint8 `[image_height, image_width, 3]`, RGB 0-255, of unknown static size or not; for training also an
  `images.Encoded`, of which no more is decoded than the box that is cropped (`cifar` and `digits` take all of it);
- `height`, `width`: int, the size of the result in pixels;
- `seed`: int64 or int32 `[2]`, which decides everything random; None takes it from TensorFlow's generators
  (`tf.set_random_seed`). Evaluation has nothing random and takes no notice of it;
- `options`: the further keyword arguments of the functions below. Those that are common: `means` and `deviations`,
  three floats each, always RGB, subtracted and divided by; `channel_order`, 'RGB' or 'BGR', of the result;
  `interpolation` and `crop`, of evaluation, which say what is done and have few values. An option that a function does
  not have, or a value that it does not know, is an error: `get_options` lists all of them.

It returns float32 `[height, width, 3]`, RGB but for `caffe`, whose order is BGR. The ranges: `vgg` and `caffe` about
-124 to 152, `inception` -1 to 1, `torchvision` about -2.1 to 2.6, `cifar` and `digits` mean 0 and standard deviation 1
in each image.
"""

import functools
import inspect
import math

import numpy as np
import tensorflow.compat.v1 as tf

from nets.data import colours, geometry, images

# `tf.compat.v1.image` lacks the stateless functions.
_stateless = tf.compat.v2.image

# Means of the ILSVRC-2012 training images, RGB, as released with https://arxiv.org/abs/1409.1556. Slim's
# script rounds them to 116.78 and 103.94, which `means` can bring back.
VGG_MEANS = (123.68, 116.779, 103.939)
_VGG_SIDE = 256
_VGG_CROP = 224
_NO_DEVIATIONS = (1.0, 1.0, 1.0)


def _vgg_side(height, width):
    """256 pixels for the 224 of the paper, and for larger sizes in proportion."""
    return max(_VGG_SIDE, math.ceil(max(height, width) * _VGG_SIDE / _VGG_CROP))


def _checked_side(side, height, width):
    side = _vgg_side(height, width) if side is None else side
    if side < max(height, width):
        raise ValueError(f'resize_side must be at least the crop of {height}x{width}; got {side}.')
    return side


def _check(interpolation, crop, crops=('centre',), interpolations=('bilinear',)):
    """Raises a ValueError for a way of resizing or cropping that a preset does not have."""
    for name, value, allowed in (('interpolation', interpolation, interpolations), ('crop', crop, crops)):
        if value not in allowed:
            raise ValueError(f'{name} must be {" or ".join(map(repr, allowed))} in this preset; got {value!r}.')


def _standardised(image, means, deviations, channel_order):
    """Subtracts the means, divides by the deviations, and puts the channels in order; the width may be unknown."""
    if channel_order not in ('RGB', 'BGR'):
        raise ValueError(f"channel_order must be 'RGB' or 'BGR'; got {channel_order!r}.")
    shape = image.shape.as_list()
    height, width, _ = tf.unstack(tf.shape(image)) if None in shape else shape

    def of_rows(values):
        """The values of the channels, for all pixels of a row; one value where all are the same."""
        values = np.float32(values)
        if np.all(values == values[0]):
            return values[0]
        return np.tile(values, width) if isinstance(width, int) else tf.tile(values, [width])

    # With rows as one dimension, as broadcasting along three channels takes ten times as long. TensorFlow itself makes
    # reciprocals of a constant's many values, less exact ones.
    rows = tf.reshape(image, [height, width * 3]) - of_rows(means)
    if tuple(deviations) != _NO_DEVIATIONS:
        rows = rows * of_rows(1 / np.float32(deviations))
    image = tf.reshape(rows, shape if isinstance(width, int) else [height, width, 3])
    return image if channel_order == 'RGB' else image[..., ::-1]


def _random_box(image, seed, min_area, area_range, aspect_ratio_range):
    """Crops a random box of at least the part `min_area` of the image; uint8 `[box_height, box_width, 3]`."""
    start, size, _ = _stateless.stateless_sample_distorted_bounding_box(
        images.shape_of(image), tf.constant([[[0., 0., 1., 1.]]]), seed, min_object_covered=min_area,
        aspect_ratio_range=aspect_ratio_range, area_range=area_range, max_attempts=100,
        use_image_if_no_bounding_boxes=True)
    return images.crop(image, start, size)


def _vgg_train(image, height, width, seed=None, resize_side_min=None, resize_side_max=None, means=VGG_MEANS,
               deviations=_NO_DEVIATIONS, channel_order='RGB'):
    """Resizes to a random short side, crops at random, flips half of the images, subtracts the means.

    "Very deep convolutional networks", section 3.1 (multi-scale training); https://arxiv.org/abs/1409.1556.

    Args:
        image, height, width, seed: see the module's docstring.
        resize_side_min: int, the smallest short side in pixels; default 256, or more for crops of more than
            224.
        resize_side_max: int, the largest, included; default twice `resize_side_min`.
        means, deviations, channel_order: see the module's docstring.
    """
    low = resize_side_min or _vgg_side(height, width)
    high = resize_side_max or 2 * low
    if not max(height, width) <= low <= high:
        raise ValueError(f'resize_side_min must be at least the crop of {height}x{width} and at most '
                         f'resize_side_max; got {low} and {high}.')
    side_seed, crop_seed, flip_seed = geometry.split(seed, 3)
    side = tf.random.stateless_uniform([], side_seed, low, high + 1, tf.int32)
    size, window = geometry.short_side_size(image, side), (height, width)
    image = geometry.resize_window(image, size, geometry.random_start(size, window, crop_seed), window)
    return _standardised(geometry.random_flip(image, flip_seed), means, deviations, channel_order)


def _vgg_eval(image, height, width, seed=None, resize_side=None, means=VGG_MEANS, deviations=_NO_DEVIATIONS,
              channel_order='RGB', interpolation='bilinear', crop='centre'):
    """Resizes the short side, crops the centre, subtracts the means.

    Args:
        image, height, width, seed: see the module's docstring.
        resize_side: int, the short side in pixels; default 256, or more for crops of more than 224.
        means, deviations, channel_order, interpolation, crop: see the module's docstring.
    """
    del seed
    _check(interpolation, crop)
    image = geometry.resize_short_side(image, _checked_side(resize_side, height, width))
    return _standardised(geometry.centre_crop(image, height, width), means, deviations, channel_order)


# Means and standard deviations of the ILSVRC-2012 training images, RGB 0-1, as all of torchvision's weights have them.
TORCHVISION_MEANS = (0.485, 0.456, 0.406)
TORCHVISION_DEVIATIONS = (0.229, 0.224, 0.225)


def _torchvision_train(image, height, width, seed=None, area_range=(0.08, 1.0), aspect_ratio_range=(3 / 4, 4 / 3),
                       means=TORCHVISION_MEANS, deviations=TORCHVISION_DEVIATIONS, channel_order='RGB'):
    """Crops a random box, resizes it, flips half of the images, standardises with the data set's moments.

    The boxes of "Going deeper with convolutions", section 6 (https://arxiv.org/abs/1409.4842), as in torchvision's
    reference training of ResNet-50 (https://github.com/pytorch/vision/tree/main/references/classification).

    Args:
        image, height, width, seed: see the module's docstring.
        area_range: two floats, the part of the image's area that the box covers.
        aspect_ratio_range: two floats, width by height of the box.
        means, deviations, channel_order: see the module's docstring; of values from 0 to 1.
    """
    box_seed, flip_seed = geometry.split(seed, 2)
    image = _random_box(image, box_seed, 0.0, area_range, aspect_ratio_range)
    image = geometry.resize_like_pillow(image, height, width)
    image.set_shape([height, width, 3])
    return _standardised(geometry.random_flip(image, flip_seed) / 255., means, deviations, channel_order)


def _torchvision_eval(image, height, width, seed=None, resize_side=None, means=TORCHVISION_MEANS,
                      deviations=TORCHVISION_DEVIATIONS, channel_order='RGB', interpolation='bilinear', crop='centre'):
    """Resizes the short side with antialiasing, crops the centre, standardises with the data set's moments.

    What the weights `IMAGENET1K_V1` of torchvision were evaluated with.

    Args:
        image, height, width, seed: see the module's docstring.
        resize_side: int, the short side in pixels; default 256, or more for crops of more than 224.
        means, deviations, channel_order, crop: see the module's docstring; of values from 0 to 1.
        interpolation: 'bilinear', or 'bicubic' as in most of timm's weights; both as Pillow has them.
    """
    del seed
    _check(interpolation, crop, interpolations=('bilinear', 'bicubic'))
    side = _checked_side(resize_side, height, width)
    size = tf.shape(image)[:2]
    new_size = size * side // tf.reduce_min(size)
    image = geometry.resize_like_pillow(image, new_size[0], new_size[1], interpolation)
    # Pillow's users round half of the surplus to the nearest even number of pixels.
    surplus = tf.cast(tf.rint(tf.cast(tf.shape(image)[:2] - [height, width], tf.float32) / 2), tf.int32)
    image = geometry.crop(image, surplus[0], surplus[1], height, width)
    return _standardised(image / 255., means, deviations, channel_order)


# From 0 to 1 to -1 to 1.
_HALVES = (0.5, 0.5, 0.5)


def _resized(resize, image, height, width):
    image = tf.image.convert_image_dtype(image, tf.float32)
    return resize(images=image[tf.newaxis], size=[height, width])[0]


def _nearest(image, height, width):
    return tf.image.convert_image_dtype(geometry.resize_nearest(image, height, width), tf.float32)


# From uint8 to float32, 0-1 but where bicubic resizing swings over.
_RESIZERS = (functools.partial(_resized, tf.raw_ops.ResizeBilinear), _nearest,
             functools.partial(_resized, tf.raw_ops.ResizeBicubic), functools.partial(_resized, tf.raw_ops.ResizeArea))


def _inception_train(image, height, width, seed=None, area_range=(0.05, 1.0),
                     aspect_ratio_range=(3 / 4, 4 / 3), colour=True, flip=True, means=_HALVES, deviations=_HALVES,
                     channel_order='RGB'):
    """Crops a random box, resizes it by a random method, flips half of the images, changes the colours.

    "Going deeper with convolutions", section 6; https://arxiv.org/abs/1409.4842.

    Args:
        image, height, width, seed: see the module's docstring.
        area_range: two floats, the part of the image's area that the box covers, never less than 0.1.
        aspect_ratio_range: two floats, width by height of the box.
        colour: whether to change brightness, saturation, hue and contrast.
        flip: whether to mirror half of the images.
        means, deviations, channel_order: see the module's docstring; of values from 0 to 1.
    """
    box_seed, resize_seed, flip_seed, colour_seed = geometry.split(seed, 4)
    image = _random_box(image, box_seed, 0.1, area_range, aspect_ratio_range)
    method = tf.random.stateless_uniform([], resize_seed, 0, len(_RESIZERS), tf.int32)
    image = tf.switch_case(method, [functools.partial(resize, image, height, width) for resize in _RESIZERS])
    image.set_shape([height, width, 3])
    if flip:
        image = geometry.random_flip(image, flip_seed)
    if colour:
        image = colours.change_at_random(image, colour_seed)
    return _standardised(tf.clip_by_value(image, 0., 1.), means, deviations, channel_order)


def _inception_eval(image, height, width, seed=None, central_fraction=0.875, means=_HALVES, deviations=_HALVES,
                    channel_order='RGB', interpolation='bilinear', crop='central_fraction'):
    """Crops the centre, resizes it; -1 to 1.

    Args:
        image, height, width, seed: see the module's docstring.
        central_fraction: float in (0, 1], the part of either side that is kept.
        means, deviations, channel_order, interpolation, crop: see the module's docstring; of values from 0 to 1.
    """
    del seed
    _check(interpolation, crop, crops=('central_fraction',))
    if not 0 < central_fraction <= 1:
        raise ValueError(f'central_fraction must be more than 0 and at most 1; got {central_fraction}.')
    image = geometry.central_fraction(tf.image.convert_image_dtype(image, tf.float32), central_fraction)
    return _standardised(geometry.resize(image, height, width), means, deviations, channel_order)


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
    image = geometry.cover(images.whole(image), height, width)
    image = tf.pad(image, [[padding, padding], [padding, padding], [0, 0]])
    image = geometry.random_crop(image, height, width, crop_seed)
    if flip:
        image = geometry.random_flip(image, flip_seed)
    return tf.image.per_image_standardization(image)


def _small_eval(image, height, width, seed=None, interpolation='bilinear', crop='centre'):
    """Resizes so that the image covers the size, crops the centre, standardises each image.

    Args:
        image, height, width, seed, interpolation, crop: see the module's docstring.
    """
    del seed
    _check(interpolation, crop)
    image = geometry.centre_crop(geometry.cover(image, height, width), height, width)
    return tf.image.per_image_standardization(image)


# Preset -> its function for training and for evaluation.
PREPROCESSING = {
    'vgg': (_vgg_train, _vgg_eval),
    # What Caffe's networks and those that Keras took over from it want.
    'caffe': (functools.partial(_vgg_train, channel_order='BGR'), functools.partial(_vgg_eval, channel_order='BGR')),
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
        raise ValueError(f'The name of a preprocessing must be one of {", ".join(PREPROCESSING)}; got {name!r}.')
    training, evaluation = PREPROCESSING[name]
    return training if is_training else evaluation


# Preset whose pixels are changed by constants alone -> what they are divided by before.
_PIXEL_SCALES = {'vgg': 1.0, 'caffe': 1.0, 'inception': 255.0, 'torchvision': 255.0}


def get_standardisation(name, means=None, deviations=None, channel_order=None):
    """Looks up what a preset does to pixels, without any resizing or cropping.

    Args:
        name: str, a key of `PREPROCESSING` but for those that standardise each image by itself.
        means, deviations, channel_order: see the module's docstring; None for the preset's.

    Returns:
        A function from an image, uint8 or float32 `[height, width, 3]`, RGB 0-255, of any static size or none, to what
        the network takes, float32 of the same shape. It maps the means, the mean pixel, to 0.

    Raises:
        ValueError: If there is no such preset.
    """
    if name not in _PIXEL_SCALES:
        raise ValueError(f'The preprocessing of images of any size must be one of {", ".join(_PIXEL_SCALES)}; got '
                         f'{name!r}.')
    options = get_options(name, False, 1)
    changes = {'means': means, 'deviations': deviations, 'channel_order': channel_order}
    options = {key: options[key] if value is None else value for key, value in changes.items()}

    def standardise(image):
        image = tf.cast(image, tf.float32)
        return _standardised(image if _PIXEL_SCALES[name] == 1 else image / _PIXEL_SCALES[name], **options)

    return standardise


def get_options(name, is_training, size):
    """The options of a preset with the values that they have unless told otherwise.

    Args:
        name: str, a key of `PREPROCESSING`.
        is_training: bool.
        size: int, height and width of the result in pixels.

    Returns:
        A dict from option to value; tuples as lists, as JSON has them.

    Raises:
        ValueError: If the name is unknown.
    """
    parameters = inspect.signature(get_preprocessing(name, is_training)).parameters
    options = {key: list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
               for key, parameter in parameters.items() if key not in ('image', 'height', 'width', 'seed')}
    return dict(options, resize_side=_vgg_side(size, size)) if 'resize_side' in options else options
