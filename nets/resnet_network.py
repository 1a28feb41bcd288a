"""What every residual network is around its blocks: checks, root block, classifier and end points."""

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, resnet_utils

# The root block, a convolution and a pool of stride 2 each.
_ROOT_STRIDE = 4


def build(inputs, blocks, unit_fn, default_scope, root, finish, num_classes, is_training, global_pool, output_stride,
          include_root_block, spatial_squeeze, store_non_strided_activations, reuse, scope):
    """Builds a network; for the other arguments, the result and the errors see `resnet_v1.resnet_v1`.

    Args:
      unit_fn: The units' function, which adds its result to the end points.
      default_scope: Name of the network's scope where `scope` is None.
      root: Dict, what the root's convolution has in place of the arg scope of `slim.conv2d`.
      finish: Function of the blocks' result that returns the features.
    """
    block_stride = _check_arguments(
        inputs, blocks, num_classes, global_pool, output_stride, include_root_block, spatial_squeeze)
    with tf.variable_scope(scope, default_scope, [inputs], reuse=reuse) as sc:
        collection = sc.original_name_scope + '_end_points'
        training = {} if is_training is None else {'is_training': is_training}
        with slim.arg_scope([slim.conv2d, unit_fn, resnet_utils.stack_blocks_dense], outputs_collections=collection), \
                slim.arg_scope([slim.batch_norm], **training):
            net = inputs
            if include_root_block:
                with slim.arg_scope([slim.conv2d], **root):
                    net = resnet_utils.conv2d_same(net, 64, 7, stride=2, scope='conv1')
                net = layers.max_pool2d(net, [3, 3], stride=2, scope='pool1')
            net = finish(resnet_utils.stack_blocks_dense(net, blocks, block_stride, store_non_strided_activations))
            end_points = slim.utils.convert_collection_to_dict(collection)
            net = _add_classifier(net, end_points, num_classes, global_pool, spatial_squeeze, sc.name)
            return net, end_points


def _check_arguments(inputs, blocks, num_classes, global_pool, output_stride, include_root_block, spatial_squeeze):
    """Checks a network's arguments before any of it is built.

    Args:
      inputs: The images, as every network takes them; likewise the other arguments.

    Returns:
      The output stride that the blocks are to have, an int or None.

    Raises:
      ValueError: If `inputs` are not of rank 4 with a known number of channels, `blocks` are empty, the output stride
        cannot be reached, `num_classes` is no whole number from 0, or the map of logits that is to be squeezed is
        larger than 1 x 1.
    """
    shape = tf.TensorShape(inputs.shape)
    if shape.ndims != 4 or shape.as_list()[-1] is None:
        raise ValueError('inputs must have the shape [batch, height, width, channels] with a known number of '
                         'channels; got {}.'.format(shape))
    if not blocks:
        raise ValueError('blocks must hold at least one Block; got {!r}.'.format(blocks))
    root_stride = _ROOT_STRIDE if include_root_block else 1
    reachable = [root_stride * stride for stride in resnet_utils.reachable_output_strides(blocks)]
    output_stride = resnet_utils.check_output_stride(output_stride, reachable)
    if num_classes is not None and (not isinstance(num_classes, (int, np.integer)) or num_classes < 0):
        raise ValueError('num_classes must be a whole number from 0, or None; got {!r}.'.format(num_classes))
    block_stride = output_stride and output_stride // root_stride
    if num_classes and spatial_squeeze and not global_pool:
        stride = block_stride or reachable[-1] // root_stride
        sizes = [size if size is None else _map_size(size, include_root_block, stride)
                 for size in shape.as_list()[1:3]]
        if any(size is not None and size > 1 for size in sizes):
            raise ValueError('spatial_squeeze=True needs logits of height and width 1; they are of {} x {} here. Use '
                             'spatial_squeeze=False for a map of logits, or global_pool=True for one set of logits '
                             'an image.'.format(*['?' if size is None else size for size in sizes]))
    return block_stride


def _map_size(size, include_root_block, block_stride):
    """Height or width of the features of images of that height or width."""
    if include_root_block:
        size = -(-size // 2)
        pool = slim.current_arg_scope().get(slim.arg_scope_func_key(slim.max_pool2d), {})
        size = -(-size // 2) if pool.get('padding', 'VALID').upper() == 'SAME' else (size - 3) // 2 + 1
    return -(-size // block_stride)


def _add_classifier(net, end_points, num_classes, global_pool, spatial_squeeze, scope_name):
    """Adds pool, logits and predictions to a network, and to its end points.

    Args:
      net: `[batch, height, width, channels]`, the features.
      end_points: Dict of end points, added to in place.
      num_classes: Number of logits; 0 or None for none.
      global_pool: Whether to average over height and width.
      spatial_squeeze: Whether to drop height and width of the logits.
      scope_name: Name of the network's variable scope.

    Returns:
      The last of features, pooled features, logits and squeezed logits that is wanted.
    """
    if global_pool:
        net = tf.reduce_mean(net, [1, 2], name='pool5', keepdims=True)
        end_points['global_pool'] = net
    if num_classes:
        net = layers.conv2d(net, num_classes, [1, 1], activation_fn=None, normalizer_fn=None, scope='logits')
        end_points[scope_name + '/logits'] = net
        if spatial_squeeze:
            net = tf.squeeze(net, [1, 2], name='SpatialSqueeze')
            end_points[scope_name + '/spatial_squeeze'] = net
        end_points['predictions'] = slim.softmax(net, scope='predictions')
    return net
