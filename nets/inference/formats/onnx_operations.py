"""The operations of a folded network in terms of ONNX, as plain tuples: nothing here needs the package `onnx`."""

import collections

import numpy as np
import tensorflow.compat.v1 as tf

from nets.inference import frozen

# kind, names of the inputs, name of the result, dict of attributes
Operation = collections.namedtuple('Operation', ['kind', 'inputs', 'output', 'attributes'])


def translate(nodes):
    """Translates the nodes of a network.

    Args:
        nodes: `frozen.Nodes`.

    Returns:
        `Graph`.

    Raises:
        ValueError: If an operation is not known.
    """
    graph = Graph(_with_whole_convolutions(nodes))
    for name in graph.nodes:
        graph.add(name)
    return graph


def _with_whole_convolutions(nodes):
    """The same nodes, with one operation for a grouped convolution that is one for each group.

    Some processors' kernels of TensorFlow know no groups; those of ONNX Runtime do.
    """
    whole = frozen.Nodes(nodes, dict(nodes.constants), nodes.outputs)
    for name, node in nodes.items():
        parts = [nodes.get(one) for one in node.input[:-1]] if node.op == 'ConcatV2' else []
        if not parts or any(part is None or part.op != 'Conv2D' for part in parts):
            continue
        split = nodes.get(parts[0].input[0])
        groups = [f'{split.name}:{i}' if i else split.name for i in range(split.attr['num_split'].i)] if split else []
        if [part.input[0] for part in parts] == groups:
            whole[name] = tf.NodeDef()
            whole[name].CopyFrom(parts[0])
            whole[name].name = name
            whole[name].input[:] = [split.input[1], name + '/weights']
            whole.constants[name + '/weights'] = np.concatenate([nodes.constants[part.input[1]] for part in parts], 3)
    whole.prune()
    return whole


class Graph:
    """What a network is in ONNX.

    Attributes:
        nodes: `frozen.Nodes`, the network.
        operations: List of `Operation`s in the order in which they run.
        constants: Dict from name to array.
        ranks: Dict from the name of a node to the rank of its result; those of rank 4 are `[batch, channels, height,
            width]`.
    """

    def __init__(self, nodes):
        self.nodes = nodes
        self.operations, self.constants, self.ranks = [], {}, {}
        self._depths = {}
        self._consumers = nodes.consumers()

    def add(self, name):
        """Translates a node; all of its inputs have been."""
        node = self.nodes[name]
        if node.op not in _TRANSLATIONS:
            raise ValueError(f'The operation {node.op} ({name}) is not known to the ONNX export, which has '
                             f'{", ".join(_TRANSLATIONS)}. Take another format, or the engine tensorflow.')
        if node.attr['data_format'].s == b'NCHW':
            raise ValueError(f'{name} has the layout NCHW; build the network in NHWC to export it as ONNX.')
        tensors = [one for one in node.input if one not in self.nodes.constants]
        self.ranks[name] = self.ranks[tensors[0]] if tensors else 4
        self._depths[name] = max([self._depths[one] for one in tensors], default=None)
        _TRANSLATIONS[node.op](self, node)

    def emit(self, node, kind, inputs, **attributes):
        self.operations.append(Operation(kind, inputs, node.name + ':0', attributes))

    def constant(self, node, role, value):
        """Stores an array of a node, and returns its name."""
        name = f'{node.name}/{role}:0'
        self.constants[name] = value
        return name

    def placeholder(self, node):
        self._depths[node.name] = node.attr['shape'].shape.dim[3].size
        self.operations.append(Operation('Transpose', [node.name], node.name + ':0', {'perm': [0, 3, 1, 2]}))

    def convolution(self, node):
        weights = self.nodes.constants[node.input[1]]
        height, width, depth, filters = weights.shape
        rates = list(node.attr['dilations'].list.i)[1:3] or [1, 1]
        groups = self._depths[node.input[0]] // depth
        self._depths[node.name] = filters
        self.emit(node, 'Conv', [node.input[0] + ':0', self.constant(node, 'weights', weights.transpose(3, 2, 0, 1))],
                  kernel_shape=[height, width], strides=list(node.attr['strides'].list.i)[1:3], dilations=rates,
                  group=groups, **_padding(node, (height, width), rates))

    def biases(self, node):
        """Biases are a part of the convolution in ONNX."""
        source, biases = node.input[0], self.nodes.constants[node.input[1]]
        last = self.operations[-1]
        if last.kind == 'Conv' and last.output == source + ':0' and self._consumers[source] == 1:
            name = self.constant(node, 'biases', biases)
            self.operations[-1] = Operation('Conv', last.inputs + [name], node.name + ':0', last.attributes)
        else:
            self.emit(node, 'Add', [source + ':0', self.constant(node, 'biases', biases.reshape(-1, 1, 1))])

    def batch_norm(self, node):
        names = [self.constant(node, role, self.nodes.constants[one]) for role, one in
                 zip(('gamma', 'beta', 'mean', 'variance'), node.input[1:])]
        self.emit(node, 'BatchNormalization', [node.input[0] + ':0'] + names, epsilon=node.attr['epsilon'].f)

    def max_pool(self, node):
        size = list(node.attr['ksize'].list.i)[1:3]
        padding, source = _padding(node, size, [1, 1]), self.nodes.get(node.input[0])
        pads = self._zeros_that_do_not_count(source)
        if pads is not None and node.attr['padding'].s == b'VALID':
            self._drop(source.name)
            source, padding = self.nodes[source.input[0]], {'pads': pads}
        self.emit(node, 'MaxPool', [source.name + ':0'], kernel_shape=size,
                  strides=list(node.attr['strides'].list.i)[1:3], **padding)

    def _zeros_that_do_not_count(self, node):
        """The padding of height and width by a node that pads what a ReLU left, whose maximum they never are."""
        if node.op != 'Pad' or self._consumers[node.name] > 1 or self.nodes[node.input[0]].op not in ('Relu', 'Relu6'):
            return None
        zeros = self.nodes.constants[node.input[1]]
        return None if zeros[[0, 3]].any() else zeros[1:3].T.ravel().tolist()

    def _drop(self, name):
        self.operations = [one for one in self.operations if one.output != name + ':0']
        self.constants.pop(name + '/zeros:0')

    def pad(self, node):
        zeros = self.nodes.constants[node.input[1]]
        self._depths[node.name] += int(zeros[3].sum())
        zeros = zeros[[0, 3, 1, 2]].T.ravel().astype(np.int64)
        self.emit(node, 'Pad', [node.input[0] + ':0', self.constant(node, 'zeros', zeros)])

    def global_pool(self, node):
        kind, axes = _GLOBAL_POOLS[node.op], np.ravel(self.nodes.constants[node.input[1]]).tolist()
        if sorted(axes) != [1, 2]:
            raise ValueError(f'{node.name} is a pool over the axes {axes}; the ONNX export knows that over height and '
                             'width, 1 and 2.')
        if node.attr['keep_dims'].b:
            self.emit(node, kind, [node.input[0] + ':0'])
            return
        self.operations.append(Operation(kind, [node.input[0] + ':0'], node.name + '/pool:0', {}))
        self._drop_height_and_width(node, node.name + '/pool:0')

    def squeeze(self, node):
        axes = sorted(node.attr['squeeze_dims'].list.i)
        if axes != [1, 2]:
            raise ValueError(f'{node.name} squeezes the axes {axes}; the ONNX export knows height and width, 1 and 2.')
        self._drop_height_and_width(node, node.input[0] + ':0')

    def _drop_height_and_width(self, node, pooled):
        self.ranks[node.name] = 2
        self.emit(node, 'Squeeze', [pooled, self.constant(node, 'axes', np.array([2, 3]))])

    def softmax(self, node):
        self.emit(node, node.op, [node.input[0] + ':0'], axis=1)

    def leaky_relu(self, node):
        self.emit(node, 'LeakyRelu', [node.input[0] + ':0'], alpha=node.attr['alpha'].f)

    def relu6(self, node):
        limits = [self.constant(node, role, np.float32(value)) for role, value in (('low', 0), ('high', 6))]
        self.emit(node, 'Clip', [node.input[0] + ':0'] + limits)

    def elementwise(self, node):
        inputs = [self._operand(node, i, one) for i, one in enumerate(node.input)]
        self.emit(node, _ELEMENTWISE[node.op], inputs)

    def _operand(self, node, number, name):
        """A tensor, or a constant for all or for each of the channels."""
        if name not in self.nodes.constants:
            return name + ':0'
        value = self.nodes.constants[name]
        if value.ndim == 1 and self.ranks[node.name] == 4:
            value = value.reshape(-1, 1, 1)
        elif value.ndim:
            raise ValueError(f'{node.name} has a constant of shape {value.shape}; the ONNX export knows numbers and '
                             'one number for each channel.')
        return self.constant(node, str(number), value)


def _padding(node, size, rates):
    """The attributes that say how a convolution or a pool pads; those of TensorFlow's SAME depend on the image."""
    kind = node.attr['padding'].s
    if kind == b'EXPLICIT':
        pads = np.reshape(node.attr['explicit_paddings'].list.i, [4, 2])[1:3]
    elif kind == b'VALID' or list(size) == [1, 1]:
        pads = np.zeros([2, 2], int)
    elif list(node.attr['strides'].list.i) == [1, 1, 1, 1]:
        surplus = [(one - 1) * rate for one, rate in zip(size, rates)]
        pads = np.array([[one // 2, one - one // 2] for one in surplus])
    else:
        return {'auto_pad': 'SAME_UPPER'}
    return {'pads': pads.T.ravel().tolist()}


_GLOBAL_POOLS = {'Mean': 'GlobalAveragePool', 'Max': 'GlobalMaxPool'}
_ELEMENTWISE = {'AddV2': 'Add', 'Add': 'Add', 'Mul': 'Mul', 'Sub': 'Sub', 'Minimum': 'Min', 'Maximum': 'Max',
                **{name: name for name in ('Relu', 'Sigmoid', 'Identity', 'Tanh', 'Elu', 'Exp', 'Selu', 'Softplus',
                                           'Softsign')}}
_TRANSLATIONS = dict(
    dict.fromkeys(_ELEMENTWISE, Graph.elementwise), **dict.fromkeys(_GLOBAL_POOLS, Graph.global_pool),
    Placeholder=Graph.placeholder, Conv2D=Graph.convolution, BiasAdd=Graph.biases, FusedBatchNorm=Graph.batch_norm,
    FusedBatchNormV2=Graph.batch_norm, FusedBatchNormV3=Graph.batch_norm, MaxPool=Graph.max_pool, Pad=Graph.pad,
    Squeeze=Graph.squeeze, Softmax=Graph.softmax, LogSoftmax=Graph.softmax, Relu6=Graph.relu6,
    LeakyRelu=Graph.leaky_relu)
