"""The forward pass, cut into parts that can be computed again one by one."""

from nets.recompute.order import Nesting, in_order, settled


class Forward:
    """The operations that tensors are computed by, cut into parts at the tensors that are kept.

    The level of a tensor is the largest number of kept tensors on a way to it, itself included; that of an operation is
    the largest of its inputs'. A part is what hangs together within a level, through tensors that are computed again.
    So a part reads only tensors that are not computed again, of its own and lower levels.

    Attributes:
        levels: Dict from the names of the operations to their levels.
        nesting: `Nesting` of the operations.
    """

    def __init__(self, tensors, kept):
        """Cuts the operations that compute `tensors` at the tensors `kept`.

        Raises:
            ValueError: None of the tensors that are kept is used, or one is in a loop.
        """
        self._operations = in_order([tensor.op for tensor in tensors])
        names = {operation.name for operation in self._operations}
        self._kept = {tensor.name for tensor in kept if tensor.op.name in names}
        if not self._kept:
            raise ValueError('None of the tensors to keep is used for what is differentiated: '
                             f'{", ".join(tensor.name for tensor in kept) or "none were given"}.')
        self.nesting = Nesting()
        self.nesting.add(self._operations)
        looping = [one.name for one in kept if one.op.name in names and self.nesting.in_loop(one.op)]
        if looping:
            raise ValueError(f'Tensors in loops cannot be kept: {", ".join(looping)}. Keep the result of the loop.')
        self.levels = settled(self._operations, lambda operation, levels: max(
            (self.level(one, levels) for one in operation.inputs), default=0))
        self._fixed = self._kept | {tensor.name for tensor in self._fixed_tensors()}
        self._parts = self._connected()

    def level(self, tensor, levels=None):
        """The level of a tensor; by other levels than those of the attribute, if they are given."""
        return (self.levels if levels is None else levels).get(tensor.op.name, 0) + (tensor.name in self._kept)

    def is_fixed(self, tensor):
        """Whether a tensor is never computed again."""
        return tensor.name in self._fixed

    def part(self, tensor):
        """The operations, in the order of the graph, of the part that a tensor that is not fixed belongs to.

        Returns:
            A list, the same one for all tensors of the part.
        """
        return self._parts[tensor.op.name]

    def _fixed_tensors(self):
        """What is not computed again, besides the tensors that are kept."""
        for operation in self._operations:
            repeatable = self._is_repeatable(operation)
            for i, tensor in enumerate(operation.outputs):
                if not repeatable or _is_small(operation, i):
                    yield tensor
            # What operations of a higher level read: part of the gradients that a part waits for would wait for it.
            for tensor in operation.inputs:
                if self.level(tensor) < self.levels[operation.name]:
                    yield tensor

    def _is_repeatable(self, operation):
        """Whether an operation may run a second time, elsewhere, and does the same again.

        Not what is random, has a state or a side effect, reads or writes a variable, may be fed, or is in a loop.
        """
        tensors = [*operation.inputs, *operation.outputs]
        return (len(operation.inputs) > 0 and not operation.op_def.is_stateful and
                operation.type != 'PlaceholderWithDefault' and not self.nesting.in_loop(operation) and
                all(tensor.dtype == tensor.dtype.base_dtype for tensor in tensors))

    def _connected(self):
        """The part of each operation that may be in one."""
        parts = {}
        for operation in filter(self._is_repeatable, self._operations):
            joined = [parts[one.op.name] for one in operation.inputs if not self.is_fixed(one)]
            part = max(joined, key=len, default=[])
            for other in joined:
                if other is not part and parts[other[0].name] is not part:
                    part += other
                    parts.update((one.name, part) for one in other)
            part.append(operation)
            parts[operation.name] = part
        order = {operation.name: i for i, operation in enumerate(self._operations)}
        for part in {id(part): part for part in parts.values()}.values():
            part.sort(key=lambda operation: order[operation.name])
        return parts


def _is_small(operation, index):
    """Whether an output is not worth the computation: at most one number for each channel or image."""
    if operation.type.startswith('FusedBatchNorm') and index:
        return True  # the statistics, and what the gradient wants besides the inputs
    ndims = operation.outputs[index].shape.ndims
    return ndims is not None and ndims <= 1
