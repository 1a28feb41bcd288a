"""The receptive field of any tensor of a graph, computed from the operations between the images and it.

    field = graph_field.of_function(lambda images: network_fn(images, global_pool=False)[0])

That holds for units and heads of any kind. `receptive_field` needs no graph, and knows the networks of this library.
"""

from typing import NamedTuple

import tensorflow.compat.v1 as tf

from nets.dense.field import Field, Layer

# Operations that keep rows and columns apart, whatever the number of their inputs.
_POINTWISE = frozenset([
    'Add', 'AddN', 'AddV2', 'BiasAdd', 'Cast', 'CheckNumerics', 'ClipByValue', 'ConcatV2', 'Elu', 'Exp',
    'FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3', 'Identity', 'LeakyRelu', 'LogSoftmax', 'Maximum',
    'Minimum', 'Mul', 'Neg', 'RealDiv', 'Relu', 'Relu6', 'Rsqrt', 'Selu', 'Sigmoid', 'Softmax', 'Softplus', 'Split',
    'Sqrt', 'Square', 'StopGradient', 'Sub', 'Tanh'])
# Those that take a mean or a sum over axes, some of them by products with matrices.
_POOLED = frozenset(['BatchMatMulV2', 'Einsum', 'MatMul', 'Max', 'Mean', 'Sum'])


def of_function(function, size=257, channels=3):
    """The receptive field of what a function builds on images, in a graph of its own.

    Args:
        function: Function of images `[1, size, size, channels]`, float32, that returns a map.
        size: Int, a multiple of the largest stride plus 1.
        channels: Int.

    Returns:
        A `field.Field`.

    Raises:
        ValueError: See `of_graph`.
    """
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [1, size, size, channels])
        return of_graph(images, function(images))


def of_graph(images, result):
    """The receptive field of a tensor of a graph.

    Args:
        images: Tensor `[batch, height, width, channels]` of known height and width. If the graph resizes maps, they are
            a multiple of the largest stride plus 1.
        result: Tensor `[batch, height, width, channels]`.

    Returns:
        A `field.Field`.

    Raises:
        ValueError: If the result does not depend on the images, an operation between them is of an unknown type, or is
            not the same for height and width.
    """
    if None in images.shape.as_list()[1:3]:
        raise ValueError(f'images must be of known height and width, for example 257 x 257; got {images.shape}.')
    walk = _Walk()
    for op in _operations(result.op, images.op):
        walk.values[op] = _Value(0) if op is images.op else walk.value(op)
    if walk.values[result.op] is None:
        raise ValueError(f'{result.name} does not depend on {images.name}.')
    walk.add(walk.values[result.op].layer)
    return Field(walk.layers)


def _operations(end, beginning):
    """The operations that one depends on, each after its inputs; what another one, `beginning`, depends on is left out.
    """
    order, todo, seen = [], [(end, False)], set()
    while todo:
        op, is_done = todo.pop()
        if is_done:
            order.append(op)
        elif op not in seen:
            seen.add(op)
            todo.append((op, True))
            todo.extend((tensor.op, False) for tensor in op.inputs if op is not beginning)
    return order


class _Value(NamedTuple):
    """What is known of an operation's results: their layer, and what came since SpaceToBatchND."""

    layer: int
    rate: int = 1
    padding: tuple = (0, 0)
    kernel_size: int = 1
    is_pooled: bool = False


class _Walk:
    """Layers as they are found, and the value of each operation: None for what does not depend on the images."""

    def __init__(self):
        self.layers, self.values = [Layer(())], {}

    def add(self, *inputs, **layer):
        self.layers.append(Layer(tuple(dict.fromkeys(inputs)), **layer))
        return len(self.layers) - 1

    def value(self, op):
        """The value of an operation whose inputs have theirs."""
        values = [self.values[tensor.op] for tensor in op.inputs]
        inputs = [value for value in values if value is not None]
        if not inputs or op.type in ('Shape', 'ShapeN', 'Size', 'Rank'):
            return None
        if op.type in _POINTWISE and not (op.type.startswith('FusedBatchNorm') and op.get_attr('is_training')):
            return self._pointwise(op, inputs)
        if op.type in _POOLED or op.type.startswith('FusedBatchNorm'):
            return _Value(self.add(*[value.layer for value in inputs], kind='global'), is_pooled=True)
        if op.type not in _TYPES or values[0] is None:
            raise ValueError(f'The receptive field of {op.name} is unknown, an operation of the type {op.type}.')
        return _TYPES[op.type](self, op, values[0])

    def _pointwise(self, op, inputs):
        if op.type in ('ConcatV2', 'Split'):
            axis = int(tf.get_static_value(op.inputs[-1 if op.type == 'ConcatV2' else 0]))
            if axis % op.outputs[0].shape.ndims in (1, 2):
                raise ValueError(f'{op.name} changes the height or width of maps, and they are no longer one grid.')
        local = [value for value in inputs if not value.is_pooled] or inputs
        if any(value[1:] != local[0][1:] for value in local):
            raise ValueError(f'The receptive field of {op.name} is unknown: it is within an atrous convolution.')
        layers = [value.layer for value in inputs]
        return local[0]._replace(layer=layers[0] if len(set(layers)) == 1 else self.add(*layers))

    def _window(self, op, value, kernel_sizes):
        """A convolution or pool."""
        data_format = op.get_attr('data_format').decode()
        height, width = data_format.index('H'), data_format.index('W')
        padding = op.get_attr('padding').decode()
        dilations = op.get_attr('dilations') if 'dilations' in op.node_def.attr else [1] * 4
        windows = []
        for kernel_size, axis in zip(kernel_sizes(op, height, width), (height, width)):
            explicit = tuple(op.get_attr('explicit_paddings')[2 * axis:2 * axis + 2]) if padding == 'EXPLICIT' else None
            windows.append((kernel_size, op.get_attr('strides')[axis], dilations[axis], explicit or padding))
        kernel_size, stride, rate, padding = _one(op, windows)
        if value.rate == 1:
            return value._replace(layer=self.add(value.layer, kernel_size=kernel_size, stride=stride, rate=rate,
                                                 padding=padding))
        if padding != 'VALID' or (stride, rate, value.kernel_size) != (1, 1, 1):
            raise ValueError(f'The receptive field of {op.name} is unknown: it is within an atrous convolution.')
        return value._replace(kernel_size=kernel_size)

    def convolution(self, op, value):
        return self._window(op, value, lambda op, height, width: op.inputs[1].shape.as_list()[:2])

    def pool(self, op, value):
        return self._window(op, value, lambda op, height, width: [op.get_attr('ksize')[i] for i in (height, width)])

    def pad(self, op, value):
        paddings = [tuple(pair) for pair in tf.get_static_value(op.inputs[1]).tolist()]
        padding = _one(op, paddings[1:3])
        return value if padding == (0, 0) else value._replace(layer=self.add(value.layer, padding=padding))

    def to_batch(self, op, value):
        rate, padding = self._block(op)
        return value._replace(rate=rate, padding=padding)

    def from_batch(self, op, value):
        rate, crops = self._block(op)
        if rate != value.rate:
            raise ValueError(f'The receptive field of {op.name} is unknown: its block shape is not that before it.')
        padding = tuple(pad - crop for pad, crop in zip(value.padding, crops))
        layer = self.add(value.layer, kernel_size=value.kernel_size, rate=rate, padding=padding)
        return _Value(layer, is_pooled=value.is_pooled)

    def _block(self, op):
        block, paddings = (tf.get_static_value(tensor).tolist() for tensor in op.inputs[1:])
        return _one(op, block), _one(op, [tuple(pair) for pair in paddings])

    def resize(self, op, value):
        if value.is_pooled:
            return value
        before, after = (tensor.shape.as_list()[1:3] for tensor in (op.inputs[0], op.outputs[0]))
        factor = _one(op, [(new - 1) / (old - 1) if old > 1 else 0 for new, old in zip(after, before)])
        if not op.get_attr('align_corners') or factor != int(factor) or factor < 1:
            raise ValueError(f'{op.name} resizes {before} to {after}, which is not the same everywhere in an image. '
                             'Use align_corners=True, and images of a multiple of the largest stride plus 1.')
        return value._replace(layer=self.add(value.layer, stride=int(factor), kind='resize'))


def _one(op, pair):
    """The one value for height and width."""
    if pair[0] != pair[1]:
        raise ValueError(f'{op.name} is not the same for height and width: {pair[0]} and {pair[1]}.')
    return pair[0]


_TYPES = {
    'AvgPool': _Walk.pool,
    'BatchToSpaceND': _Walk.from_batch,
    'Conv2D': _Walk.convolution,
    'DepthwiseConv2dNative': _Walk.convolution,
    'MaxPool': _Walk.pool,
    'Pad': _Walk.pad,
    'PadV2': _Walk.pad,
    'ResizeBilinear': _Walk.resize,
    'SpaceToBatchND': _Walk.to_batch,
}
