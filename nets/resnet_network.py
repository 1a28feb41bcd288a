"""What every residual network is around its blocks: checks, root block, classifier and end points."""

import collections
import inspect

import numpy as np
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, resnet_utils


class Root(collections.namedtuple('Root', ['convs', 'pool', 'conv_args'])):
    """What comes before the blocks.

    Attributes:
      convs: Tuples (scope, depth, kernel size, stride, padding), where 'explicit' is the padding of `conv2d_same` and a
        depth of None is the base depth of the first block.
      pool: None, or a tuple (size, stride, padding) of a max pool, where a padding of None is that of the arg scope.
      conv_args: Dict, what the convolutions have in place of the arg scope of `slim.conv2d`.
    """

    __slots__ = ()

    @property
    def stride(self):
        """Stride of all of it."""
        return int(np.prod([conv[3] for conv in self.convs])) * (self.pool[1] if self.pool else 1)

    def map_size(self, size):
        """Height or width of the result for images of that height or width."""
        for _, _, kernel_size, stride, padding in self.convs:
            size = _size_after(size, kernel_size, stride, padding)
        if self.pool:
            kernel_size, stride, padding = self.pool
            size = _size_after(size, kernel_size, stride, padding or layers.scoped_arguments(
                slim.max_pool2d).get('padding', 'VALID'))
        return size

    def with_depths(self, multiplier, base_depth):
        """The same root with its depths multiplied, or set to the base depth where they were None."""
        return self._replace(convs=tuple((scope, int((depth or base_depth) * multiplier)) + tuple(rest)
                                         for scope, depth, *rest in self.convs))

    def build(self, net):
        """Builds the root on images and returns the result."""
        with slim.arg_scope([slim.conv2d], **self.conv_args):
            for scope, depth, kernel_size, stride, padding in self.convs:
                if padding == 'explicit':
                    net = layers.conv2d_same(net, depth, kernel_size, stride=stride, scope=scope)
                else:
                    net = layers.conv2d(net, depth, kernel_size, stride=stride, padding=padding, scope=scope)
        if self.pool:
            kernel_size, stride, padding = self.pool
            net = layers.max_pool2d(net, kernel_size, stride=stride, scope='pool1',
                                    **({'padding': padding} if padding else {}))
        return net


_CONV1 = (('conv1', 64, 7, 2, 'explicit'),)
# The first unit of v2 normalises and activates what comes from the root.
_PLAIN = {'activation_fn': None, 'normalizer_fn': None}

ROOTS = {
    # He et al. 2015, table 1; the pool has the padding of the arg scope, SAME in resnet_arg_scope.
    'slim': Root(_CONV1, (3, 2, None), {}),
    # The pool of torchvision and Keras: equal at odd sizes, one pixel apart at even ones. The zeros are never the
    # maximum of what a ReLU lets through.
    'padded': Root(_CONV1, (3, 2, (1, 1)), {}),
    # NVIDIA's for TensorFlow 1: nothing but TensorFlow's own padding.
    'same': Root((('conv1', 64, 7, 2, 'SAME'),), (3, 2, 'SAME'), {}),
    'preactivated': Root(_CONV1, (3, 2, None), _PLAIN),
    # Here the zeros count: Keras' V2 pads before it pools, and what it pools has no activation.
    'preactivated_padded': Root(_CONV1, (3, 2, (1, 1)), _PLAIN),
    # Chen et al. 2018 (arXiv:1802.02611), from Zhao et al. 2017 (PSPNet, arXiv:1612.01105): three small convolutions.
    'beta': Root((('conv1_1', 64, 3, 2, 'explicit'), ('conv1_2', 64, 3, 1, 'explicit'),
                  ('conv1_3', 128, 3, 1, 'explicit')), (3, 2, 'SAME'), {}),
    # For images of 32 x 32 and less: nothing is thrown away (He et al. 2015, section 4.2).
    'small': Root((('conv1', None, 3, 1, 'explicit'),), None, {}),
}


def build(inputs, blocks, default_scope, root, finish, num_classes, is_training, global_pool, output_stride,
          spatial_squeeze, store_non_strided_activations, reuse, scope):
    """Builds a network; for the other arguments, the result and the errors see `resnet_v1.resnet_v1`.

    Args:
      default_scope: Name of the network's scope where `scope` is None.
      root: `Root`, or None for blocks on the inputs as they are.
      finish: Function of the blocks' result that returns the features, or None.
    """
    if tf.executing_eagerly():
        raise RuntimeError('Networks are built in graphs, which hold their variables: call '
                           'tf.compat.v1.disable_v2_behavior() first, or build within '
                           '`with tf.Graph().as_default():`.')
    block_stride = _check_arguments(inputs, blocks, root, num_classes, global_pool, output_stride, spatial_squeeze)
    with tf.variable_scope(scope, default_scope, [inputs], reuse=reuse) as sc:
        collection = sc.original_name_scope + '_end_points'
        training = {} if is_training is None else {'is_training': is_training}
        with slim.arg_scope([slim.conv2d, resnet_utils.stack_blocks_dense] + _collecting_units(blocks),
                            outputs_collections=collection), \
                slim.arg_scope([slim.batch_norm], **training):
            net = root.build(inputs) if root else inputs
            net = resnet_utils.stack_blocks_dense(net, blocks, block_stride, store_non_strided_activations)
            net = finish(net) if finish else net
            end_points = slim.utils.convert_collection_to_dict(collection)
            net = _add_classifier(net, end_points, num_classes, global_pool, spatial_squeeze, sc.name)
            return net, end_points


def _collecting_units(blocks):
    """The unit functions that an arg scope can tell to collect their results."""
    functions = []
    for block in blocks:
        if (block.unit_fn not in functions and slim.has_arg_scope(block.unit_fn) and
                'outputs_collections' in inspect.signature(block.unit_fn).parameters):
            functions.append(block.unit_fn)
    return functions


def _check_arguments(inputs, blocks, root, num_classes, global_pool, output_stride, spatial_squeeze):
    """Checks a network's arguments before any of it is built.

    Args:
      inputs: The images, as every network takes them; likewise the other arguments.

    Returns:
      The output stride that the blocks are to have, an int or None.

    Raises:
      ValueError: If `inputs` are not of rank 4 with a known number of channels or too small for the root, `blocks` are
        empty, the output stride cannot be reached, `num_classes` is no whole number from 0, or the map of logits that
        is to be squeezed is larger than 1 x 1.
    """
    shape = tf.TensorShape(inputs.shape)
    if shape.ndims != 4 or shape.as_list()[-1] is None:
        raise ValueError('inputs must have the shape [batch, height, width, channels] with a known number of '
                         'channels; got {}.'.format(shape))
    if not tf.as_dtype(inputs.dtype).is_floating:
        raise ValueError('inputs must be floats, prepared as the preset says; got {}.'.format(
            tf.as_dtype(inputs.dtype).name))
    if not blocks or not all(hasattr(block, 'unit_fn') for block in blocks):
        raise ValueError('blocks must be a list of at least one Block; got {!r}.'.format(blocks))
    root_stride = root.stride if root else 1
    reachable = [root_stride * stride for stride in resnet_utils.reachable_output_strides(blocks)]
    output_stride = resnet_utils.check_output_stride(output_stride, reachable)
    if num_classes is not None and (isinstance(num_classes, bool) or not isinstance(num_classes, (int, np.integer)) or
                                    num_classes < 0):
        raise ValueError('num_classes must be a whole number from 0, or None; got {!r}.'.format(num_classes))
    block_stride = output_stride and output_stride // root_stride
    sizes = [size if size is None or not root else root.map_size(size) for size in shape.as_list()[1:3]]
    if any(size is not None and size < 1 for size in sizes):
        raise ValueError('inputs of {} x {} are too small for the root block, which leaves nothing of them; use '
                         "larger images, or a network with the root 'small'.".format(*shape.as_list()[1:3]))
    if num_classes and spatial_squeeze and not global_pool:
        stride = block_stride or reachable[-1] // root_stride
        sizes = [size and -(-size // stride) for size in sizes]
        if any(size is not None and size > 1 for size in sizes):
            raise ValueError('spatial_squeeze=True needs logits of height and width 1; they are of {} x {} here. Use '
                             'spatial_squeeze=False for a map of logits, or global_pool=True for one set of logits '
                             'an image.'.format(*['?' if size is None else size for size in sizes]))
    return block_stride


def _size_after(size, kernel_size, stride, padding):
    """Height or width of what a convolution or pool makes of a height or width."""
    if padding == 'explicit' or (isinstance(padding, str) and padding.upper() == 'SAME'):
        return -(-size // stride)
    return (size + (0 if isinstance(padding, str) else sum(padding)) - kernel_size) // stride + 1


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
