"""Networks for dense prediction: a backbone of the family and a head, by name.

    network_fn = get_network_fn('resnet_v1_50_beta', 'deeplab_v3plus', num_classes=21, multi_grid=(1, 2, 4))
    logits, end_points = network_fn(images)  # prepared as network_fn.preset says
    logits = resize_bilinear(logits, size_of(images))
"""

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import nets_factory, resnet_utils
from nets.dense.end_points import decoder_end_points, reachable_output_strides
from nets.dense.heads import HEADS, Features  # noqa: F401, HEADS is part of the module's interface
from nets.dense.layers import head_arg_scope, resize_bilinear, size_of  # noqa: F401, likewise
from nets.dense.options import check as check_options
from nets.dense.options import is_whole

# Of the backbone's batch normalisation and of the head's (DeepLab's feature_extractor.py and model.py).
_BATCH_NORM_DECAYS = (0.95, 0.9997)
# The arguments of a backbone that are not set here.
_BACKBONE_OPTIONS = ('depth_multiplier', 'min_base_depth', 'scope')


def get_network_fn(network, head, num_classes, output_stride=16, is_training=False, fine_tune_batch_norm=True,
                   weight_decay=1e-4, multi_grid=None, batch_norm_decay=None, backbone_options=None, **head_options):
    """A network that gives a class to every pixel.

    Args:
        network: Name of the backbone, a key of `nets_factory.NETWORKS`.
        head: Name of the head, a key of `HEADS`.
        num_classes: Number of classes, the background among them.
        output_stride: Stride of the backbone's features against the images, one that it can have; None for the largest.
        is_training: Bool or bool tensor: whether dropout drops, and batch normalisation uses the statistics of the
            batch. Or a function that returns one, which every batch normalisation asks within its own variable scope;
            dropout drops then.
        fine_tune_batch_norm: Bool: whether batch normalisation is trained, too; if not, it always uses its moving
            averages. Small batches are better off without (DeepLab trains it from 12 images on).
        weight_decay: Factor of the L2 loss of the convolutions' weights.
        multi_grid: Rates of the units of the backbone's last block, such as (1, 2, 4) for DeepLab's beta checkpoints.
        batch_norm_decay: Decay of the moving averages of batch normalisation; None for DeepLab's, 0.95 in the backbone
            and 0.9997 in the head. The latter needs tens of thousands of steps.
        backbone_options: Dict of `depth_multiplier` and `min_base_depth`, for narrow backbones, and `scope`, or None.
        **head_options: Options of the head, see `nets.dense.options.OPTIONS`.

    Returns:
        A function `network_fn(images, reuse=None, dropout_seed=None)` that returns logits, `[batch, height, width,
        num_classes]` at the head's own resolution, and the end points of backbone and head, a dict; for the seed see
        `nets.dense.layers.dropout`. Its attributes are `preset` and `default_image_size` of the backbone,
        `backbone_scope`, the scope of the backbone's variables, and `class_scopes`, those of the variables whose shapes
        depend on `num_classes`.

    Raises:
        ValueError: There is no such network, head, option or value; the message says which there are.
    """
    check_options(head, head_options)
    if not is_whole(num_classes):
        raise ValueError('num_classes must be a whole number from 1; got {!r}.'.format(num_classes))
    backbone_decay, head_decay = _BATCH_NORM_DECAYS if batch_norm_decay is None else [batch_norm_decay] * 2
    trains_batch_norm = is_training if fine_tune_batch_norm else False
    backbone_fn = nets_factory.get_network_fn(network, None, weight_decay, trains_batch_norm,
                                              batch_norm_decay=backbone_decay)
    backbone_options = checked_backbone_options(network, backbone_options, multi_grid)
    reachable = reachable_output_strides(network)
    output_stride = resnet_utils.check_output_stride(output_stride, reachable) or reachable[-1]
    arg_scope = head_arg_scope(weight_decay, head_decay, trains_batch_norm)

    def network_fn(images, reuse=None, dropout_seed=None):
        with tf.variable_scope(tf.get_variable_scope(), reuse=reuse, auxiliary_name_scope=False) as outer:
            net, end_points = backbone_fn(images, global_pool=False, output_stride=output_stride,
                                          multi_grid=multi_grid, **backbone_options)

            def at_stride(stride):
                name = decoder_end_points(network, [stride], output_stride, scope=backbone_options['scope'])[stride]
                return end_points['{}/{}'.format(outer.name, name) if outer.name else name]

            features = Features(net, output_stride, callable(is_training) or is_training, at_stride, dropout_seed)
            with slim.arg_scope(arg_scope):
                logits, head_end_points = HEADS[head].fn(features, num_classes, **head_options)
        end_points.update(head_end_points)
        return logits, end_points

    network_fn.__name__ = '{}_{}'.format(network, head)
    network_fn.preset = backbone_fn.preset
    network_fn.default_image_size = backbone_fn.default_image_size
    network_fn.backbone_scope = backbone_options['scope']
    network_fn.class_scopes = HEADS[head].class_scopes(head_options)
    return network_fn


def checked_backbone_options(network, options, multi_grid=None):
    """The options of a backbone, with its `scope`, after all that can be known before it is built is checked.

    Args:
        network: Name of the backbone, a key of `nets_factory.NETWORKS`.
        options: Dict of arguments of the backbone, or None.
        multi_grid: Rates of the units of the last block, or None.

    Returns:
        A dict.

    Raises:
        ValueError: There is no such option, or it has no such value.
    """
    builder = nets_factory.NETWORKS[network].builder
    parameters = builder.__signature__.parameters
    options = dict(options or {})
    unknown = sorted(name for name in options if name not in _BACKBONE_OPTIONS)
    if unknown:
        raise ValueError('backbone_options may have {}; got {}.'.format(
            ', '.join(_BACKBONE_OPTIONS), ', '.join(unknown)))
    depths = {name: options.get(name, parameters[name].default) for name in ('min_base_depth', 'depth_multiplier')}
    if not is_whole(depths['min_base_depth']):
        raise ValueError('min_base_depth must be a whole number from 1; got {!r}.'.format(depths['min_base_depth']))
    builder.layout.blocks(multi_grid=multi_grid, **depths)
    options.setdefault('scope', parameters['scope'].default)
    return options
