"""Heads: what makes a class for every pixel of the features of a backbone.

A head is a row of `HEADS`: a function `(features, num_classes, **options)` that returns logits
`[batch, height, width, num_classes]`, at a resolution of its own, and a dict of end points. The scopes are those of
DeepLab's checkpoints. `nets.dense.model.get_network_fn` puts heads on backbones.
"""

import inspect
import typing

import tensorflow.compat.v1 as tf

from nets import layers
from nets.dense.layers import (
    adaptive_average_pool,
    classify,
    dropout,
    resize_bilinear,
    separable_conv2d,
    size_of,
    sliding_average_pool,
)

_V2_RATES = (6, 12, 18, 24)  # at output stride 8
_V3_RATES = (6, 12, 18)  # at output stride 16


class Features(typing.NamedTuple):
    """What a head is built on."""

    net: tf.Tensor  # [batch, height, width, channels], the backbone's result
    output_stride: int  # of `net` against the images
    is_training: typing.Union[bool, tf.Tensor]  # whether there is dropout
    at_stride: typing.Callable  # the backbone's features of a stride, finer than `net`: int -> tensor
    dropout_seed: typing.Optional[tf.Tensor] = None  # see `nets.dense.layers.dropout`


def fcn(features, num_classes, stride=None):
    """Scores of features at several strides, the coarser ones resized and added to the finer ones.

    Source: Long et al. 2015 (arXiv:1411.4038), section 4.2: FCN-32s, -16s and -8s for a `stride` of 32, 16 and 8 and a
    backbone of output stride 32. Skipped scores start at zero, as there.
    """
    stride = min(8, features.output_stride) if stride is None else stride
    strides = [features.output_stride]
    while strides[-1] > stride and strides[-1] % 2 == 0:
        strides.append(strides[-1] // 2)
    if strides[-1] != stride:
        raise ValueError('stride must be the output stride of the backbone, {}, or a half, a quarter, … of it; '
                         'got {!r}.'.format(features.output_stride, stride))
    end_points = {}
    with tf.variable_scope('logits'):
        net = classify(features.net, num_classes)
        for finer in strides[1:]:
            skip = classify(features.at_stride(finer), num_classes, scope='skip_{}'.format(finer), stddev=0)
            net = end_points['logits/skip_{}'.format(finer)] = resize_bilinear(net, size_of(skip)) + skip
    end_points['logits/semantic'] = net
    return net, end_points


def deeplab_v2(features, num_classes, atrous_rates=None):
    """Sum of atrous convolutions of several rates.

    Source: Chen et al. 2016 (arXiv:1606.00915), section 3.2, ASPP-L; the names are those of the Caffe model.
    """
    rates = _rates(atrous_rates, _V2_RATES, 8, features.output_stride)
    if not rates:
        raise ValueError('deeplab_v2 needs at least one atrous rate; got atrous_rates={!r}.'.format(atrous_rates))
    end_points = {scope: classify(features.net, num_classes, 3, rate, scope)
                  for scope, rate in zip(_v2_scopes(rates), rates)}
    net = end_points['logits/semantic'] = tf.add_n(list(end_points.values()), name='fc1_voc12')
    return net, end_points


def deeplab_v3(features, num_classes, depth=256, atrous_rates=None, separable_conv=True, image_pooling=True,
               image_pooling_crop_size=None, image_pooling_stride=1, keep_prob=0.9):
    """Atrous convolutions of several rates and the mean of the image, side by side and projected (ASPP).

    Source: Chen et al. 2017 (arXiv:1706.05587), section 3.3.
    """
    net, end_points = _aspp(features, depth, atrous_rates, separable_conv, image_pooling, image_pooling_crop_size,
                            image_pooling_stride, keep_prob)
    return _logits(net, num_classes, end_points)


def deeplab_v3plus(features, num_classes, depth=256, atrous_rates=None, separable_conv=True, image_pooling=True,
                   image_pooling_crop_size=None, image_pooling_stride=1, keep_prob=0.9, decoder_output_stride=4,
                   decoder_depth=256, projection_depth=48):
    """DeepLab v3, refined with finer features of the backbone.

    Source: Chen et al. 2018 (arXiv:1802.02611), section 3.1 and table 1, 2 and 3.
    """
    net, end_points = _aspp(features, depth, atrous_rates, separable_conv, image_pooling, image_pooling_crop_size,
                            image_pooling_stride, keep_prob)
    strides = [decoder_output_stride] if isinstance(decoder_output_stride, int) else list(decoder_output_stride)
    with tf.variable_scope('decoder'):
        for stage, stride in enumerate(strides):
            suffix = '_{}'.format(stage) if stage else ''
            low_level = layers.conv2d(features.at_stride(stride), projection_depth, 1,
                                      scope='feature_projection0' + suffix)
            end_points['decoder/feature_projection0' + suffix] = low_level
            net = tf.concat([resize_bilinear(net, size_of(low_level)), low_level], 3)
            for i in range(2):
                net = _decoder_conv(net, decoder_depth, separable_conv, i, suffix)
                end_points['decoder/decoder_conv{}{}'.format(i, suffix)] = net
    return _logits(net, num_classes, end_points)


def psp(features, num_classes, depth=512, bins=(1, 2, 3, 6), keep_prob=0.9):
    """Means of the features over grids of several sizes, beside the features, and a convolution over all.

    Source: Zhao et al. 2017 (arXiv:1612.01105), section 3.2 and figure 3.
    """
    size, channels = size_of(features.net), features.net.shape.as_list()[3]
    end_points, branches = {}, [features.net]
    with tf.variable_scope('pyramid_pooling'):
        for n in bins:
            net = layers.conv2d(adaptive_average_pool(features.net, n), max(channels // len(bins), 1), 1,
                                scope='pool{}'.format(n))
            end_points['pyramid_pooling/pool{}'.format(n)] = net
            branches.append(resize_bilinear(net, size))
        net = layers.conv2d(tf.concat(branches, 3), depth, 3, scope='concat_projection')
        end_points['pyramid_pooling/concat_projection'] = net
    net = dropout(net, keep_prob, features.is_training, features.dropout_seed, 'pyramid_pooling_dropout')
    return _logits(net, num_classes, end_points)


def _aspp(features, depth, rates, separable_conv, image_pooling, crop_size, pooling_stride, keep_prob):
    """The atrous spatial pyramid of DeepLab v3 with its projection: a tensor and a dict of end points."""
    conv = separable_conv2d if separable_conv else layers.conv2d
    end_points = {}
    if image_pooling:
        end_points['image_pooling'] = _image_pooling(features, depth, crop_size, pooling_stride)
    end_points['aspp0'] = layers.conv2d(features.net, depth, 1, scope='aspp0')
    for i, rate in enumerate(_rates(rates, _V3_RATES, 16, features.output_stride), 1):
        scope = 'aspp{}'.format(i)
        end_points[scope] = conv(features.net, depth, 3, rate=rate, scope=scope)
    net = tf.concat(list(end_points.values()), 3)
    net = end_points['concat_projection'] = layers.conv2d(net, depth, 1, scope='concat_projection')
    net = dropout(net, keep_prob, features.is_training, features.dropout_seed, 'concat_projection_dropout')
    return net, end_points


def _image_pooling(features, depth, crop_size, stride):
    """The mean of the whole map, or of windows of the size that it has for a crop, brought to the map's size.

    A network that was trained on crops knows means of crops: on larger images it may be better off with the same.
    """
    if crop_size is None:
        net = tf.reduce_mean(features.net, [1, 2], keepdims=True, name='image_mean')
    else:
        crop_size = [crop_size] * 2 if isinstance(crop_size, int) else crop_size
        window = [-(-size // features.output_stride) for size in crop_size]
        net = sliding_average_pool(features.net, window, stride)
    net = layers.conv2d(net, depth, 1, scope='image_pooling')
    return resize_bilinear(net, size_of(features.net))


def _decoder_conv(net, depth, separable_conv, index, suffix):
    """One of the two convolutions of a stage of the decoder, with the scope that it has in DeepLab."""
    if separable_conv:
        return separable_conv2d(net, depth, scope='decoder_conv{}{}'.format(index, suffix))
    scope = 'decoder_conv0' + suffix
    return layers.conv2d(net, depth, 3, scope='{0}/{0}_{1}'.format(scope, index + 1))


def _logits(net, num_classes, end_points):
    """The last layer; returns it and the end points with it."""
    with tf.variable_scope('logits'):
        net = end_points['logits/semantic'] = classify(net, num_classes)
    return net, end_points


def _v2_scopes(rates):
    return ['fc1_voc12_c{}'.format(i) for i in range(len(rates))]


def _rates(rates, default, nominal_stride, output_stride):
    """Atrous rates: those given, or the default ones of a nominal output stride, brought to that of the backbone."""
    if rates is not None:
        return list(rates)
    scaled = [rate * nominal_stride / output_stride for rate in default]
    if any(rate != int(rate) for rate in scaled):
        raise ValueError('The atrous rates {} of output stride {} are no whole numbers at output stride {}; give '
                         'atrous_rates.'.format(', '.join(map(str, default)), nominal_stride, output_stride))
    return [int(rate) for rate in scaled]


class Head(typing.NamedTuple):
    """A row of `HEADS`."""

    fn: typing.Callable
    # Options -> the scopes of the variables whose shapes depend on the number of classes.
    class_scopes: typing.Callable = lambda options: ['logits']

    @property
    def options(self):
        """Dict from the names of the head's options to their defaults; `nets.dense.options.OPTIONS` explains them."""
        parameters = list(inspect.signature(self.fn).parameters.values())[2:]
        return {parameter.name: parameter.default for parameter in parameters}


HEADS = {
    'fcn': Head(fcn),
    'deeplab_v2': Head(deeplab_v2, lambda options: _v2_scopes(options.get('atrous_rates') or _V2_RATES)),
    'deeplab_v3': Head(deeplab_v3),
    'deeplab_v3plus': Head(deeplab_v3plus),
    'psp': Head(psp),
}
