"""What of a graph runs before what, and under which conditions."""

# How many more branches of conditions, of which one at most is run, the outputs of an operation are in, and how many
# more loops.
_BRANCHES = {'Switch': 1, 'RefSwitch': 1, 'Merge': -1, 'RefMerge': -1, 'Exit': -1, 'RefExit': -1}
_LOOPS = {'Enter': 1, 'RefEnter': 1, 'Exit': -1, 'RefExit': -1}
_NEXT_TURN = ('NextIteration', 'RefNextIteration')
_OUTSIDE = (0, 0)


def before(operation):
    """The operations that an operation waits for."""
    return [tensor.op for tensor in operation.inputs] + operation.control_inputs


def in_order(operations, known=()):
    """Operations and all that they wait for, each after those that it waits for itself.

    Loops are cut where they begin again. The order in which a graph was made is not enough: within a condition of
    TensorFlow 1 operations are given new inputs.

    Args:
        operations: List of operations.
        known: Container of the names of operations to leave out, with all that these wait for.

    Returns:
        List of operations.
    """
    found, left = {}, list(reversed(operations))
    while left:
        operation = left[-1]
        waits_for = [one for one in before(operation) if one.name not in found and one.name not in known]
        turns = [one for one in waits_for if one.type in _NEXT_TURN]
        waits_for = [one for one in waits_for if one.type not in _NEXT_TURN]
        if operation.name in found or operation.name in known or not waits_for:
            left.pop()
            if operation.name not in known:
                found[operation.name] = operation
            left[:0] = turns  # when all else is done
        left += waits_for
    return list(found.values())


def settled(operations, rule):
    """Values of operations, each of which depends on those of the operations before; in loops, on its own too.

    Args:
        operations: List of operations, as of `in_order`.
        rule: Function of an operation and the dict of the values by names, as far as there are any.

    Returns:
        The dict of the values.
    """
    values, changed = {}, True
    while changed:
        changed = False
        for operation in operations:
            value = rule(operation, values)
            changed = changed or value != values.get(operation.name)
            values[operation.name] = value
        changed = changed and any(operation.type in _NEXT_TURN for operation in operations)
    return values


class Nesting:
    """Which operations lie in branches of conditions and in loops."""

    def __init__(self):
        self._after = {}  # name of an operation: branches and loops that its outputs are in

    def add(self, operations):
        """Adds operations, as of `in_order`."""
        for operation in operations:
            waits_for = before(operation)
            branches, loops = (max((self._after.get(one.name, _OUTSIDE)[i] for one in waits_for), default=0)
                               for i in (0, 1))
            begins_loop = 'Merge' in operation.type and any('Enter' in one.type for one in waits_for)
            self._after[operation.name] = (
                max(branches + (0 if begins_loop else _BRANCHES.get(operation.type, 0)), 0),
                max(loops + _LOOPS.get(operation.type, 0), 0))

    def outside(self, operation):
        """Whether the outputs of an operation are there in every run, and once."""
        return self._after[operation.name] == _OUTSIDE

    def in_loop(self, operation):
        """Whether an operation belongs to a loop."""
        return self._after[operation.name][1] > 0 or operation.type in _LOOPS
