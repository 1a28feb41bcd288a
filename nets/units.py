"""Residual units: a shortcut, a chain of convolutions beside it, and their sum.

Sources: He et al. 2015 (arXiv:1512.03385), figures 2 and 5, section 3.3 for the shortcuts; He et al. 2016
(arXiv:1603.05027), figure 4e, for pre-activation; Xie et al. 2017 (arXiv:1611.05431), figure 3c, for groups; Hu et al.
2018 (arXiv:1709.01507), section 3 and figure 3, for squeeze-and-excitation; Goyal et al. 2017 (arXiv:1706.02677),
section 5.1, for the stride in the 3x3 convolution and for the last gamma of zero.
"""

import collections
import inspect

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers
from nets.layers import conv2d_same, subsample

# A convolution of a unit: scope within the unit, number of filters, kernel size and number of groups.
Conv = collections.namedtuple('Conv', ['scope', 'depth', 'kernel_size', 'num_groups'])


# Channels that come out of a bottleneck over those inside.
EXPANSION = 4


@slim.add_arg_scope
def bottleneck(inputs, depth, depth_bottleneck, stride, rate=1, outputs_collections=None, scope=None,
               use_bounded_activations=False, cardinality=1, atrous_stride=1, **kwargs):
    """A unit of three convolutions around a shortcut, the middle one of 3x3.

    Args:
      inputs: `[batch, height, width, channels]`.
      depth: Channels of the result.
      depth_bottleneck: Channels of the first two convolutions.
      stride: Stride of the unit.
      rate: Atrous rate of the 3x3 convolution.
      outputs_collections: Collection for the result.
      scope: Scope of the unit.
      use_bounded_activations: Whether to keep activations within [-6, 6], which suits quantised inference.
      cardinality: Number of groups of the 3x3 convolution.
      atrous_stride: See `residual_unit`.
      **kwargs: Other arguments of `residual_unit`.

    Returns:
      `[batch, ceil(height / stride), ceil(width / stride), depth]`.
    """
    convs = [Conv('conv1', depth_bottleneck, 1, 1), Conv('conv2', depth_bottleneck, 3, cardinality),
             Conv('conv3', depth, 1, 1)]
    return residual_unit(inputs, convs, stride, rate, outputs_collections, scope, use_bounded_activations,
                         atrous_stride=atrous_stride, default_scope='bottleneck_v1', **kwargs)


@slim.add_arg_scope
def basic(inputs, depth, stride, rate=1, outputs_collections=None, scope=None, use_bounded_activations=False,
          atrous_stride=1, **kwargs):
    """A unit of two 3x3 convolutions around a shortcut.

    Args:
      inputs: `[batch, height, width, channels]`.
      depth: Channels of the convolutions and the result.
      stride: Stride of the unit.
      rate: Atrous rate of the convolutions.
      outputs_collections: Collection for the result.
      scope: Scope of the unit.
      use_bounded_activations: Whether to keep activations within [-6, 6].
      atrous_stride: See `residual_unit`.
      **kwargs: Other arguments of `residual_unit`.

    Returns:
      `[batch, ceil(height / stride), ceil(width / stride), depth]`.
    """
    return residual_unit(inputs, [Conv('conv1', depth, 3, 1), Conv('conv2', depth, 3, 1)], stride, rate,
                         outputs_collections, scope, use_bounded_activations, atrous_stride=atrous_stride,
                         default_scope='lite_bottleneck_v1', **kwargs)


def residual_unit(inputs, convs, stride, rate=1, outputs_collections=None, scope=None, use_bounded_activations=False,
                  unit_rate=1, strided_conv='conv2', atrous_stride=1, padding='explicit', shortcut='projection',
                  se_ratio=None, zero_last_gamma=False, default_scope='residual'):
    """A chain of convolutions, each with its normaliser and activation, added to a shortcut and activated.

    Where the stride sits is part of the function that weights were trained for: a strided 3x3 convolution sees other
    pixels than a strided 1x1 convolution before it.

    Args:
      inputs: `[batch, height, width, channels]`.
      convs: List of `Conv`s. The last one is activated after the addition.
      stride: Int.
      rate: Int, atrous rate of all kernels above 1x1.
      outputs_collections: Collection for the result.
      scope: Scope of the unit.
      use_bounded_activations: Whether to keep activations within [-6, 6].
      unit_rate: Int, factor of `rate` (Chen et al. 2017, arXiv:1706.05587, section 3.3, "multi-grid").
      strided_conv: Scope of the convolution that has the stride.
      atrous_stride: Int, the stride that the unit would have if it were not atrous: what comes after the strided
        convolution has that many times the rate.
      padding: 'explicit' for that of `conv2d_same`, or 'SAME' for TensorFlow's, which is off by one pixel in strided
        convolutions of even sizes.
      shortcut: A key of `SHORTCUTS`.
      se_ratio: Depth of the squeezed channels over that of the result; None for no squeeze-and-excitation.
      zero_last_gamma: Whether the scale of the last batch normalisation starts at zero, so that the unit starts as
        its shortcut.
      default_scope: Name of the scope where `scope` is None.

    Returns:
      `[batch, ceil(height / stride), ceil(width / stride), depth of the last convolution]`.

    Raises:
      ValueError: If an argument is not among what is allowed; the message says what is.
    """
    choose('strided_conv', strided_conv, [conv.scope for conv in convs])
    convolve = PADDINGS[choose('padding', padding, PADDINGS)]
    with tf.variable_scope(scope, default_scope, [inputs]) as sc:
        net = SHORTCUTS[choose('shortcut', shortcut, SHORTCUTS)](
            inputs, convs[-1].depth, stride, tf.nn.relu6 if use_bounded_activations else None)
        residual = inputs
        for conv in convs:
            strided = conv.scope == strided_conv
            residual = convolve(
                residual, conv.depth, conv.kernel_size, stride if strided else 1, scope=conv.scope,
                rate=1 if conv.kernel_size == 1 else rate * unit_rate, num_groups=conv.num_groups,
                **(_last_convolution(zero_last_gamma) if conv is convs[-1] else {}))
            rate *= atrous_stride if strided else 1
        if se_ratio is not None:
            residual = squeeze_and_excitation(residual, se_ratio)
        if use_bounded_activations:
            net = tf.nn.relu6(net + tf.clip_by_value(residual, -6.0, 6.0))
        else:
            net = tf.nn.relu(net + residual)
        return slim.utils.collect_named_outputs(outputs_collections, sc.name, net)


@slim.add_arg_scope
def bottleneck_v2(inputs, depth, depth_bottleneck, stride, rate=1, outputs_collections=None, scope=None, unit_rate=1):
    """A pre-activated unit of three convolutions around a shortcut.

    A projection shortcut takes the pre-activated inputs, an identity the inputs as they are. Neither the projection
    nor the last convolution has batch normalisation or activation.

    Args:
      inputs: `[batch, height, width, channels]`.
      depth: Channels of the result.
      depth_bottleneck: Channels of the first two convolutions.
      stride: Stride of the 3x3 convolution.
      rate: Atrous rate of the 3x3 convolution.
      outputs_collections: Collection for the result.
      scope: Scope of the unit.
      unit_rate: Factor of `rate`.

    Returns:
      `[batch, ceil(height / stride), ceil(width / stride), depth]`.
    """
    with tf.variable_scope(scope, 'bottleneck_v2', [inputs]) as sc:
        preact = layers.batch_norm(inputs, activation_fn=tf.nn.relu, scope='preact')
        if depth == _depth_of(inputs):
            shortcut = subsample(inputs, stride, 'shortcut')
        else:
            shortcut = layers.conv2d(preact, depth, [1, 1], stride=stride, normalizer_fn=None, activation_fn=None,
                                     scope='shortcut')
        residual = layers.conv2d(preact, depth_bottleneck, [1, 1], stride=1, scope='conv1')
        residual = conv2d_same(residual, depth_bottleneck, 3, stride, rate=rate * unit_rate, scope='conv2')
        residual = layers.conv2d(residual, depth, [1, 1], stride=1, normalizer_fn=None, activation_fn=None,
                                 scope='conv3')
        return slim.utils.collect_named_outputs(outputs_collections, sc.name, shortcut + residual)


def squeeze_and_excitation(inputs, ratio, scope='se'):
    """Scales each channel by a number from 0 to 1 that the means of all channels decide.

    The means are over height and width, and so a network has other features at another output stride.

    Args:
      inputs: `[batch, height, width, channels]`.
      ratio: Channels of the layer between, over those of `inputs`; 1/16 in the paper.
      scope: Scope of the two convolutions, `reduce` and `expand`.

    Returns:
      A tensor of the shape of `inputs`.

    Raises:
      ValueError: If the ratio leaves no channel, or more than there are.
    """
    depth = _depth_of(inputs)
    reduced = int(depth * ratio)
    if not 1 <= reduced <= depth:
        raise ValueError('se_ratio must leave 1 to {} of {} channels; got {!r}, which leaves {}.'.format(
            depth, depth, ratio, reduced))
    with tf.variable_scope(scope, values=[inputs]):
        net = tf.reduce_mean(inputs, [1, 2], keepdims=True, name='squeeze')
        net = layers.conv2d(net, reduced, [1, 1], activation_fn=tf.nn.relu, normalizer_fn=None, scope='reduce')
        net = layers.conv2d(net, depth, [1, 1], activation_fn=tf.sigmoid, normalizer_fn=None, scope='expand')
        return inputs * net


def depths(unit_fn, base_depth):
    """What the base depth of a block (He et al. 2015, table 1) means to a unit: a dict of its arguments."""
    if 'depth_bottleneck' in inspect.signature(unit_fn).parameters:
        return {'depth': base_depth * EXPANSION, 'depth_bottleneck': base_depth}
    return {'depth': base_depth}


def _same_padded(inputs, num_outputs, kernel_size, stride, **kwargs):
    return layers.conv2d(inputs, num_outputs, kernel_size, stride=stride, padding='SAME', **kwargs)


def _projection(inputs, depth, stride, activation_fn, **kwargs):
    if depth == _depth_of(inputs):
        return subsample(inputs, stride, 'shortcut')
    return layers.conv2d(inputs, depth, [1, 1], stride=stride, activation_fn=activation_fn, scope='shortcut', **kwargs)


def _plain_projection(inputs, depth, stride, activation_fn):
    return _projection(inputs, depth, stride, activation_fn, normalizer_fn=None)


def _zero_pad(inputs, depth, stride, activation_fn):
    del activation_fn
    surplus = depth - _depth_of(inputs)
    if surplus < 0:
        raise ValueError("A unit of depth {} on inputs of depth {} cannot have zeros as its shortcut; use "
                         "shortcut='projection'.".format(depth, _depth_of(inputs)))
    net = subsample(inputs, stride, 'shortcut')
    return net if not surplus else tf.pad(net, [[0, 0], [0, 0], [0, 0], [surplus // 2, surplus - surplus // 2]])


def _identity(inputs, depth, stride, activation_fn):
    del activation_fn
    if depth != _depth_of(inputs):
        raise ValueError('A unit of depth {} on inputs of depth {} cannot have an identity as its shortcut; use '
                         "shortcut='projection'.".format(depth, _depth_of(inputs)))
    return subsample(inputs, stride, 'shortcut')


def _last_convolution(zero_last_gamma):
    """The arguments that set the last convolution of a unit apart from those before it."""
    if not zero_last_gamma:
        return {'activation_fn': None}
    scoped = layers.scoped_arguments(slim.conv2d)
    parameters = scoped.get('normalizer_params') or {}
    if scoped.get('normalizer_fn') is None or not parameters.get('scale'):
        raise ValueError('zero_last_gamma=True needs batch normalisation with a gamma: use_batch_norm=True and '
                         'batch_norm_scale=True of resnet_arg_scope.')
    initializers = dict(parameters.get('param_initializers') or {}, gamma=tf.zeros_initializer())
    return {'activation_fn': None, 'normalizer_params': dict(parameters, param_initializers=initializers)}


def _depth_of(net):
    return slim.utils.last_dimension(net.shape, min_rank=4)


def choose(name, value, allowed):
    """The value, if it is among those that are allowed; else a ValueError that lists them."""
    if value not in list(allowed):
        raise ValueError('{} must be one of {}; got {!r}.'.format(name, ', '.join(map(repr, allowed)), value))
    return value


PADDINGS = {'explicit': conv2d_same, 'SAME': _same_padded}

# Shortcuts where the depth changes (He et al. 2015, section 3.3 and section 4.1, options A and B). Where it does not,
# all are the inputs, subsampled.
SHORTCUTS = {
    'projection': _projection,  # a 1x1 convolution with normaliser, option B
    'plain_projection': _plain_projection,  # one with biases and no normaliser
    'zero_pad': _zero_pad,  # zeros in the new channels, half of them before the old ones, option A
    'identity': _identity,  # an error
}
