"""The backward pass, told to read tensors that are computed again in place of those of the forward pass."""

import collections
import math

import tensorflow.compat.v1 as tf

from nets.recompute.order import before, in_order, settled
from nets.slim_compat import set_input

_SCOPE = 'recompute'
# What asks for no more than the shape of a tensor, as soon as there is one, and keeps nothing.
_SHAPE_OPS = ('Rank', 'Shape', 'ShapeN', 'Size')

# What an operation of the backward pass waits for, itself or through those that it reads. lowest: the level of the
# lowest part whose tensors it reads, infinite for none. highest: the highest level of tensors of the forward pass.
_Needs = collections.namedtuple('_Needs', ('lowest', 'highest'))


class Backward:
    """Operations that compute gradients."""

    def __init__(self, forward, operations, known):
        """Finds out what they read.

        Args:
            forward: `Forward`.
            operations: List of operations that no session has run yet.
            known: Set of the names of all other operations that there were before.
        """
        self._forward = forward
        self._readers = collections.OrderedDict()  # id of a part: the part, and pairs (operation, index of the input)
        self._operations = in_order(operations, known)
        forward.nesting.add(self._operations)
        for operation in self._operations:
            for i, tensor in self._read(operation):
                if not forward.is_fixed(tensor):
                    part = forward.part(tensor)
                    self._readers.setdefault(id(part), (part, []))[1].append((operation, i))
        self._needs = settled(self._operations, self._needs_of)

    def recompute(self):
        """Adds the second computation of all parts that can wait for gradients, and has the operations read it.

        What is added to gradients, such as that of a regularization loss, is made to wait for them, too.

        Returns:
            Dict from the names of variables that are references, and not resources, to operations that read them again.
        """
        for operation in self._operations:
            if operation.type == 'AddN':
                self._postpone(operation)
        reading = collections.defaultdict(list)
        for part, readers in self._readers.values():
            gates = self._gates(readers, self._forward.levels[part[0].name])
            if gates:
                copies = _Copies(self._forward, gates, reading)
                copies.add(part, [operation.inputs[i] for operation, i in readers])
                for operation, i in readers:
                    set_input(operation, i, copies.of(operation.inputs[i]))
        return reading

    def _read(self, operation):
        """The tensors of the forward pass that an operation reads, and their positions among its inputs."""
        if operation.type in _SHAPE_OPS:
            return []
        return [(i, tensor) for i, tensor in enumerate(operation.inputs) if tensor.op.name in self._forward.levels]

    def _needs_of(self, operation, needs):
        """The needs of an operation by those of the operations before."""
        read = [tensor for _, tensor in self._read(operation)]
        lowest = [self._forward.level(tensor) for tensor in read if not self._forward.is_fixed(tensor)]
        highest = [self._forward.level(tensor) for tensor in read]
        waits_for = [needs[one.name] for one in before(operation) if one.name in needs]
        return _Needs(min([*lowest, *(one.lowest for one in waits_for)], default=math.inf),
                      max([*highest, *(one.highest for one in waits_for)], default=-1))

    def _postpone(self, addition):
        """Keeps the terms of a sum that could be there early from lying around until the last one comes.

        The gradient of an L2 loss needs the weights alone: without this all of them, as large as the variables, are
        computed before the backward pass begins.
        """
        terms = [tensor.op for tensor in addition.inputs if tensor.op.name in self._needs]
        last = max((self._needs[one.name].highest for one in terms), default=-1)
        gates = [one for one in terms if self._needs[one.name].highest == last]
        for term in terms:
            consumers = [consumer for tensor in term.outputs for consumer in tensor.consumers()]
            if (self._needs[term.name].highest < last and consumers == [addition] and
                    all(map(self._forward.nesting.outside, [term, *gates]))):
                for i, tensor in self._read(term):
                    if not self._forward.is_fixed(tensor):
                        continue
                    with tf.name_scope(None), tf.control_dependencies(None), tf.device(term.device), \
                            tf.control_dependencies(gates):
                        set_input(term, i, tf.identity(tensor, f'{_SCOPE}/{tensor.op.name}/kept'))

    def _gates(self, readers, level):
        """What the second computation of a part waits for: gradients that come from higher levels.

        They need no part of this level or a lower one, so that nothing waits for itself.

        Args:
            readers: Pairs (operation, index of an input that is a tensor of the part).
            level: Of the part.

        Returns:
            List of operations that run in every step, and outside of loops; empty where there is nothing to wait for.
        """
        gates, seen = [], set()
        left = [one for operation, _ in readers for one in before(operation)]
        while left:
            operation = left.pop()
            needs = self._needs.get(operation.name)
            if needs is None or operation.name in seen or needs.lowest <= level or needs.highest <= level:
                continue
            seen.add(operation.name)
            if self._forward.nesting.outside(operation):
                gates.append(operation)
            else:
                left += before(operation)
        return gates


class _Copies:
    """The second computation of a part."""

    def __init__(self, forward, gates, reading):
        """Begins it.

        Args:
            forward: `Forward`.
            gates: Operations to wait for.
            reading: Dict of lists, which gets the copies that read each variable that is a reference.
        """
        self._forward = forward
        self._reading = reading
        self._tensors = {}  # name of a tensor: what stands for it
        with tf.name_scope(None), tf.control_dependencies(None), tf.device(None), tf.control_dependencies(gates):
            self._gate = tf.no_op(f'{_SCOPE}/gate')

    def of(self, tensor):
        """The tensor that stands for one of the part, or for one that the part reads."""
        return self._tensors[tensor.name]

    def add(self, part, tensors):
        """Adds what of a part computes tensors."""
        wanted, operations = {tensor.name for tensor in tensors}, []
        for operation in reversed(part):
            if any(tensor.name in wanted for tensor in operation.outputs):
                operations.append(operation)
                wanted.update(tensor.name for tensor in operation.inputs if not self._forward.is_fixed(tensor))
        with tf.name_scope(None), tf.control_dependencies(None), tf.device(None):
            for operation in reversed(operations):
                self._copy(operation)

    def _copy(self, operation):
        """Adds a copy of an operation."""
        inputs = [self._read(tensor) for tensor in operation.inputs]
        with tf.device(operation.device), tf.control_dependencies(operation.control_inputs):
            copy = tf.get_default_graph().create_op(
                operation.type, inputs, [tensor.dtype for tensor in operation.outputs],
                attrs=dict(operation.node_def.attr), name=f'{_SCOPE}/{operation.name}')
        for old, new in zip(operation.outputs, copy.outputs, strict=True):
            new.set_shape(old.shape)
            if not self._forward.is_fixed(old):
                self._tensors[old.name] = new
        if self._forward.nesting.outside(operation):
            for tensor in operation.inputs:
                for variable in _references(tensor.op):
                    self._reading[variable].append(copy)

    def _read(self, tensor):
        """What the copies read in place of a tensor: a copy, or the tensor itself, but not before the gate opens.

        Without the gate a copy could run before, and would be one operation with the original to TensorFlow.
        """
        if tensor.op.type == 'Const':
            return tensor
        if tensor.name not in self._tensors:
            with tf.device(tensor.op.device), tf.control_dependencies([self._gate]):
                self._tensors[tensor.name] = tf.identity(tensor, f'{_SCOPE}/{tensor.op.name}/kept')
        return self._tensors[tensor.name]


def _references(operation):
    """The names of the variables that are references, and not resources, which an operation hands on."""
    for tensor in operation.inputs:
        if tensor.dtype != tensor.dtype.base_dtype:
            yield from _references(tensor.op) if tensor.op.inputs else [tensor.op.name]
