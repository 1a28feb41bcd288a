"""A network's graph at inference as plain nodes and arrays: what folding and every export begin with.

TensorFlow builds a graph around its variables, and around sizes that it does not know yet. Once the values are known
and nothing is trained, much of that is only in the way: a reader for each variable, the arithmetic of shapes around an
atrous convolution, the reshapes around a softmax. `freeze` leaves them out.
"""

import collections

import numpy as np
import tensorflow.compat.v1 as tf

_VARIABLES = ('VarHandleOp', 'VariableV2')
_ALIASES = ('Identity', 'ReadVariableOp', 'StopGradient')


class Nodes(collections.OrderedDict):
    """Nodes by name, each a `tf.NodeDef`.

    Attributes:
        constants: Dict from the name of a constant to its array. Constants are no nodes.
        outputs: Names of the nodes that are wanted: these stay, under their names.
    """

    def __init__(self, nodes, constants, outputs):
        super().__init__(nodes)
        self.constants = constants
        self.outputs = tuple(outputs)

    def consumers(self):
        """Dict from name to how many inputs of nodes it is, plus one if it is wanted."""
        counts = collections.Counter(node_of(reference) for node in self.values() for reference in node.input)
        counts.update(self.outputs)
        return counts

    def prune(self):
        """Leaves out what no output needs."""
        needed, waiting = set(), list(self.outputs)
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting.extend(map(node_of, self[name].input if name in self else ()))
        for name in [name for name in self if name not in needed]:
            del self[name]
        self.constants = {name: value for name, value in self.constants.items() if name in needed}

    def weights(self):
        """The constants that are weights of convolutions, a dict: all that is large."""
        return {name: value for name, value in self.constants.items() if value.ndim == 4}

    def graph_def(self, variables=()):
        """A `tf.GraphDef` of all of it, which must be below 2 GiB.

        Args:
            variables: Names of constants that are to be variables, without values.
        """
        graph_def = tf.GraphDef()
        graph_def.versions.producer = tf.version.GRAPH_DEF_VERSION
        for name, value in self.constants.items():
            node = graph_def.node.add(name=name, op='VariableV2' if name in variables else 'Const')
            node.attr['dtype'].type = tf.as_dtype(value.dtype).as_datatype_enum
            if name in variables:
                node.attr['shape'].shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
            else:
                node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(value))
        graph_def.node.extend(self.values())
        return graph_def


def node_of(reference):
    """The name of the node that an input such as `split:1` or `^control` comes from."""
    return reference.lstrip('^').split(':')[0]


def freeze(graph, outputs, values):
    """Takes a graph's part that the outputs need, with constants for variables.

    Args:
        graph: `tf.Graph` of a network at inference.
        outputs: Names of operations; of each the first result counts.
        values: Dict from the name of a variable to its array.

    Returns:
        `Nodes`, in an order in which each comes after its inputs.

    Raises:
        ValueError: If a variable has no value.
    """
    nodes = Nodes(((node.name, node) for node in graph.as_graph_def().node), {}, outputs)
    nodes.prune()
    aliases = {}
    for name, node in list(nodes.items()):
        node.input[:] = [aliases.get(reference, reference) for reference in node.input]
        for attribute in ('_output_shapes', '_gradient_op_type'):
            node.attr.pop(attribute, None)
        if node.op == 'Const':
            nodes.constants[name] = tf.make_ndarray(node.attr['value'].tensor)
        elif node.op in _VARIABLES:
            if name not in values:
                raise ValueError(f'There is no value for the variable {name}.')
            nodes.constants[name] = np.asarray(values[name])
        elif node.op in _ALIASES and name not in outputs:
            aliases[name] = node.input[0]
        else:
            continue
        del nodes[name]
    for simplify in (_split_constants, _restore_atrous_convolutions, _drop_reshapes_of_softmax):
        simplify(nodes)
    nodes.prune()
    return nodes


def _split_constants(nodes):
    """Splits constants (the weights of a grouped convolution) now rather than in every run."""
    parts = {}
    for name, node in nodes.items():
        if node.op == 'Split' and all(node_of(reference) in nodes.constants for reference in node.input):
            axis, value = (nodes.constants[reference] for reference in node.input)
            for i, part in enumerate(np.split(value, node.attr['num_split'].i, int(axis))):
                nodes.constants[f'{name}/{i}'] = np.ascontiguousarray(part)
                parts[f'{name}:{i}' if i else name] = f'{name}/{i}'
        node.input[:] = [parts.get(reference, reference) for reference in node.input]


def _restore_atrous_convolutions(nodes):
    """Makes one operation of an atrous convolution.

    tf.nn.convolution spreads its image over a batch of smaller ones, which can be trained everywhere. At inference
    every kernel knows atrous convolutions.
    """
    for name, node in list(nodes.items()):
        if node.op != 'BatchToSpaceND':
            continue
        convolution = nodes.get(node.input[0])
        spread = nodes.get(convolution.input[0]) if convolution is not None and convolution.op == 'Conv2D' else None
        if spread is None or spread.op != 'SpaceToBatchND':
            continue
        zeros = _base_paddings(nodes, spread.input[2])
        rate = nodes.constants[spread.input[1]]
        if zeros is None or len(rate) != 2 or convolution.attr['padding'].s != b'VALID':
            continue
        kernel = nodes.constants[convolution.input[1]].shape[:2]
        same = [[(n - 1) * r // 2, (n - 1) * r - (n - 1) * r // 2] for n, r in zip(kernel, rate)]
        if zeros.tolist() not in (same, [[0, 0], [0, 0]]):
            continue
        atrous = tf.NodeDef()
        atrous.CopyFrom(convolution)
        atrous.name = name
        atrous.input[0] = spread.input[0]
        atrous.attr['dilations'].list.i[:] = [1, int(rate[0]), int(rate[1]), 1]
        atrous.attr['padding'].s = b'SAME' if zeros.any() else b'VALID'
        nodes[name] = atrous


def _base_paddings(nodes, reference):
    """The zeros around an image before it is spread; None if the graph does not tell.

    Where the image's size is not known, the graph adds to them what makes the size a multiple of the rate.
    """
    found, seen, waiting = [], set(), [node_of(reference)]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        value = nodes.constants.get(name)
        if value is not None and value.shape == (2, 2):
            found.append(value)
        elif name in nodes and nodes[name].op != 'Shape':
            waiting.extend(map(node_of, nodes[name].input))
    return found[0] if len(found) == 1 and len(seen) > 1 else None


def _drop_reshapes_of_softmax(nodes):
    """A softmax works on the last axis of any tensor; slim reshapes to two axes and back."""
    for name, node in list(nodes.items()):
        softmax = nodes.get(node.input[0]) if node.op == 'Reshape' else None
        flat = nodes.get(softmax.input[0]) if softmax is not None and softmax.op == 'Softmax' else None
        shape = nodes.get(node.input[1]) if flat is not None and flat.op == 'Reshape' else None
        if shape is not None and shape.op == 'Shape' and shape.input[0] == flat.input[0]:
            direct = tf.NodeDef()
            direct.CopyFrom(softmax)
            direct.name = name
            direct.input[0] = flat.input[0]
            nodes[name] = direct
