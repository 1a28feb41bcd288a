"""Networks for dense prediction: a backbone of the family and a head, by name.

    network_fn = get_network_fn('resnet_v1_50_beta', 'deeplab_v3plus', num_classes=21, multi_grid=(1, 2, 4))
    logits, end_points = network_fn(images)  # prepared as network_fn.preset says
    logits = resize_bilinear(logits, size_of(images))
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import nets_factory
from nets.dense import options as head_options_
from nets.dense.heads import HEADS, Features  # noqa: F401, HEADS is part of the module's interface
from nets.dense.layers import head_arg_scope, resize_bilinear, size_of  # noqa: F401, likewise

# Of the backbone's batch normalisation and of the head's (DeepLab's feature_extractor.py and model.py).
_BATCH_NORM_DECAYS = (0.95, 0.9997)
_OWN_OPTIONS = frozenset(['num_classes', 'is_training', 'global_pool', 'output_stride', 'multi_grid', 'reuse'])


def get_network_fn(network, head, num_classes, output_stride=16, is_training=False, fine_tune_batch_norm=True,
                   weight_decay=1e-4, multi_grid=None, batch_norm_decay=None, backbone_options=None, **head_options):
    """A network that gives a class to every pixel.

    Args:
        network: Name of the backbone, a key of `nets_factory.NETWORKS`.
        head: Name of the head, a key of `HEADS`.
        num_classes: Number of classes, the background among them.
        output_stride: Stride of the backbone's features against the images, one that it can have.
        is_training: Bool or bool tensor: whether dropout drops, and batch normalisation uses the statistics of the
            batch.
        fine_tune_batch_norm: Bool: whether batch normalisation is trained, too; if not, it always uses its moving
            averages. Small batches are better off without (DeepLab trains it from 12 images on).
        weight_decay: Factor of the L2 loss of the convolutions' weights.
        multi_grid: Rates of the units of the backbone's last block, such as (1, 2, 4) for DeepLab's beta checkpoints.
        batch_norm_decay: Decay of the moving averages of batch normalisation; None for DeepLab's, 0.95 in the backbone
            and 0.9997 in the head. The latter needs tens of thousands of steps.
        backbone_options: Dict of other arguments of the backbone, such as `depth_multiplier` and `min_base_depth`.
        **head_options: Options of the head, see `nets.dense.options.OPTIONS`.

    Returns:
        A function `network_fn(images, reuse=None)` that returns logits, `[batch, height, width, num_classes]` at the
        head's own resolution, and the end points of backbone and head, a dict. Its attributes are `preset` and
        `default_image_size` of the backbone, `backbone_scope`, the scope of the backbone's variables, and
        `class_scopes`, those of the variables whose shapes depend on `num_classes`.

    Raises:
        ValueError: There is no such network, head, option, output stride, or number of classes.
    """
    head_options_.check(head, head_options)
    if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 1:
        raise ValueError('num_classes must be a whole number from 1; got {!r}.'.format(num_classes))
    backbone_options = dict(backbone_options or {})
    taken = _OWN_OPTIONS.intersection(backbone_options)
    if taken:
        raise ValueError('backbone_options must not have {}, which a dense network sets itself.'.format(
            ', '.join(sorted(taken))))
    backbone_decay, head_decay = _BATCH_NORM_DECAYS if batch_norm_decay is None else [batch_norm_decay] * 2
    trains_batch_norm = is_training if fine_tune_batch_norm else False
    backbone_fn = nets_factory.get_network_fn(network, None, weight_decay, trains_batch_norm,
                                              batch_norm_decay=backbone_decay)
    builder = nets_factory.NETWORKS[network].builder
    head_scope = head_arg_scope(weight_decay, head_decay, trains_batch_norm)

    def network_fn(images, reuse=None):
        with tf.variable_scope(tf.get_variable_scope(), reuse=reuse):
            net, end_points = backbone_fn(images, global_pool=False, output_stride=output_stride,
                                          multi_grid=multi_grid, **backbone_options)

            def at_stride(stride):
                return _features_at(network, end_points, output_stride, stride)

            with slim.arg_scope(head_scope):
                logits, head_end_points = HEADS[head].fn(Features(net, output_stride, is_training, at_stride),
                                                         num_classes, **head_options)
        end_points.update(head_end_points)
        return logits, end_points

    network_fn.__name__ = '{}_{}'.format(network, head)
    network_fn.preset = backbone_fn.preset
    network_fn.default_image_size = backbone_fn.default_image_size
    network_fn.backbone_scope = backbone_options.get('scope') or builder.__signature__.parameters['scope'].default
    network_fn.class_scopes = HEADS[head].class_scopes(head_options)
    return network_fn


def _features_at(network, end_points, output_stride, stride):
    """The backbone's features of a stride, for a decoder."""
    if stride > output_stride:
        raise ValueError('A decoder refines with features that are finer than those of the output stride, {}; got '
                         'features of stride {}.'.format(output_stride, stride))
    name = _decoder_end_points(network, [stride])[stride]
    return next(tensor for key, tensor in end_points.items() if ('/' + key).endswith('/' + name))


def _decoder_end_points(network, strides):
    layout = nets_factory.networks_map[network].layout
    unit, conv = {'basic': ('lite_bottleneck_v1', 'conv2'), 'bottleneck': ('bottleneck_v1', 'conv3'),
                  'bottleneck_v2': ('bottleneck_v2', 'conv3')}[layout.unit]
    found, stride = {}, layout.root_block().stride
    for block, (units, block_stride) in enumerate(zip(layout.num_units, layout.block_strides()), 1):
        first = layout.strided_unit == 'first'
        stride *= block_stride if first else 1
        index = units - (0 if first or block_stride == 1 else 1)
        found[stride] = 'block{}/unit_{}/{}/{}'.format(block, index, unit, conv)
        stride *= 1 if first else block_stride
    return {s: found[s] for s in strides}
