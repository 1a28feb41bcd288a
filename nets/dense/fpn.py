"""Feature pyramids: maps of equal depth at several strides, each of which knows what the coarser ones know.

Source: Lin et al. 2017 (arXiv:1612.03144), section 3; the levels above the backbone's from Lin et al. 2017 (RetinaNet,
arXiv:1708.02002), section 4. Names and numbers are those of TensorFlow object detection's pyramid for slim's ResNets.

    pyramid_fn = get_pyramid_fn('resnet_v1_50', min_level=3, max_level=7)
    levels, end_points = pyramid_fn(images)  # levels[3] has stride 8, levels[7] stride 128
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, nets_factory
from nets.dense.layers import size_of
from nets.dense.model import checked_backbone_options


def pyramid_arg_scope(weight_decay=4e-4, batch_norm_decay=0.997, is_training=False):
    """The defaults of the layers of a pyramid, those of object detection's configurations for slim's ResNets.

    Args:
        weight_decay: Factor of the L2 loss of the weights, half their sum of squares.
        batch_norm_decay: Decay of the moving averages of batch normalisation.
        is_training: Bool or bool tensor: whether batch normalisation uses the statistics of the batch.

    Returns:
        An arg scope, for `slim.arg_scope`.
    """
    with slim.arg_scope([slim.conv2d], weights_regularizer=slim.l2_regularizer(weight_decay),
                        weights_initializer=tf.truncated_normal_initializer(stddev=0.03), activation_fn=tf.nn.relu6,
                        normalizer_fn=layers.batch_norm, padding='SAME'), \
            slim.arg_scope([slim.batch_norm], is_training=is_training, decay=batch_norm_decay, epsilon=1e-3,
                           scale=True) as arg_scope:
        return arg_scope


def feature_pyramid(maps, max_level, depth=256, first_block=1):
    """Builds a pyramid on maps of a backbone.

    Every map is projected to `depth` channels; the coarser sum, each value four times, is added to it, and a 3x3
    convolution smooths all sums but the coarsest. Levels above are made of the coarsest by strided convolutions.

    Args:
        maps: Dict from level to `[batch, height, width, channels]`, of stride 2 ** level, without gaps.
        max_level: The coarsest level wanted.
        depth: Channels of the result.
        first_block: Number of the block that the finest map comes from, for names.

    Returns:
        A pair of dicts: from level, the finest first, and from the name of an end point, to
        `[batch, height, width, depth]`.
    """
    levels = sorted(maps)
    pyramid, end_points, net = {}, {}, None
    for i, level in reversed(list(enumerate(levels))):
        projected = layers.conv2d(maps[level], depth, 1, activation_fn=None, normalizer_fn=None,
                                  scope='projection_{}'.format(i + 1))
        net = projected if net is None else projected + _upsample(net, size_of(projected))
        pyramid[level] = net if level == levels[-1] else layers.conv2d(net, depth, 3,
                                                                       scope='smoothing_{}'.format(i + 1))
        end_points['top_down_block{}'.format(first_block + i)] = pyramid[level]
    for level in range(levels[-1] + 1, max_level + 1):
        scope = 'bottom_up_block{}'.format(first_block + level - levels[0])
        pyramid[level] = end_points[scope] = layers.conv2d(pyramid[level - 1], depth, 3, stride=2, padding='SAME',
                                                           scope=scope)
    return {level: pyramid[level] for level in sorted(pyramid)}, end_points


def get_pyramid_fn(network, min_level=3, max_level=7, depth=256, is_training=False, fine_tune_batch_norm=True,
                   weight_decay=4e-4, batch_norm_decay=0.997, backbone_options=None, backbone_arg_scope=None):
    """A backbone with a feature pyramid.

    Args:
        network: Name of the backbone, a key of `nets_factory.NETWORKS`.
        min_level: The finest level; its stride, 2 ** level, is that of a block of the backbone.
        max_level: The coarsest level; those that the backbone does not have are made by strided convolutions.
        depth: Channels of each level.
        is_training: Bool or bool tensor: whether batch normalisation uses the statistics of the batch.
        fine_tune_batch_norm: Bool: whether batch normalisation is trained, too.
        weight_decay: Factor of the L2 loss of the convolutions' weights.
        batch_norm_decay: Decay of the moving averages of batch normalisation.
        backbone_options: Dict of `depth_multiplier` and `min_base_depth`, for narrow backbones, and `scope`, or None.
        backbone_arg_scope: Dict of other arguments of the backbone's arg scope. Checkpoints of object detection were
            trained with `batch_norm_epsilon=1e-3, activation_fn=tf.nn.relu6`, the pyramid's.

    Returns:
        A function `pyramid_fn(images, reuse=None)` that returns the levels, a dict from level to
        `[batch, ceil(height / 2 ** level), ceil(width / 2 ** level), depth]`, and the end points of both, a dict. Its
        attributes are `preset`, `default_image_size` and `backbone_scope`; the pyramid's variables are in `fpn` below
        that scope.

    Raises:
        ValueError: There is no such network or level.
    """
    trains_batch_norm = is_training if fine_tune_batch_norm else False
    backbone_fn = nets_factory.get_network_fn(network, None, weight_decay, trains_batch_norm,
                                              batch_norm_decay=batch_norm_decay, **(backbone_arg_scope or {}))
    options = checked_backbone_options(network, backbone_options)
    builder = nets_factory.NETWORKS[network].builder
    blocks = _block_levels(builder.layout)
    if min_level not in blocks:
        raise ValueError('min_level of {} must be one of {}; got {!r}.'.format(
            network, ', '.join(map(str, blocks)), min_level))
    if isinstance(max_level, bool) or not isinstance(max_level, int) or max_level < min_level:
        raise ValueError('max_level must be a whole number from min_level, {}; got {!r}.'.format(min_level, max_level))
    arg_scope = pyramid_arg_scope(weight_decay, batch_norm_decay, trains_batch_norm)

    def pyramid_fn(images, reuse=None):
        with tf.variable_scope(tf.get_variable_scope(), reuse=reuse, auxiliary_name_scope=False):
            _, end_points = backbone_fn(images, global_pool=False, store_non_strided_activations=True, **options)
            with tf.variable_scope(options['scope']) as sc, slim.arg_scope(arg_scope):
                maps = {level: end_points['{}/block{}'.format(sc.name, number)] for level, number in blocks.items()
                        if min_level <= level <= max_level}
                with tf.variable_scope('fpn'):
                    levels, pyramid_end_points = feature_pyramid(maps, max_level, depth, blocks[min_level])
        end_points.update(pyramid_end_points)
        return levels, end_points

    pyramid_fn.preset = backbone_fn.preset
    pyramid_fn.default_image_size = backbone_fn.default_image_size
    pyramid_fn.backbone_scope = options['scope']
    return pyramid_fn


def _block_levels(layout):
    """Dict from the level of each block's features, before a stride in its last unit, to the block's number."""
    levels, stride = {}, layout.root_block().stride
    for number, block_stride in enumerate(layout.block_strides(), 1):
        before, after = (block_stride, 1) if layout.strided_unit == 'first' else (1, block_stride)
        stride *= before
        levels[stride.bit_length() - 1] = number
        stride *= after
    return levels


def _upsample(net, size):
    """Twice as many rows and columns, each value four times; of them `size`, which may be one less."""
    height, width = size_of(net)
    net = tf.raw_ops.ResizeNearestNeighbor(images=net, size=tf.stack([height * 2, width * 2]))
    return net[:, :size[0], :size[1]]
