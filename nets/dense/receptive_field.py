"""The receptive field of every end point of a residual network, computed from its blocks.

    field = receptive_field.of_network('resnet_v1_50', 'resnet_v1_50/block2', output_stride=16)
    field.reach()  # Reach(stride=16, first=-49, last=49): row i depends on rows 16 * i - 49 to 16 * i + 49

No graph is built. For networks of units that are not of `nets.units`, and for heads, see `graph_field`.
"""

import collections
import inspect

from nets import nets_factory, resnet_utils, units
from nets.dense.field import Field, Layer, explicit

# The kernel sizes of the convolutions of a unit, by scope, and the scope of a unit that is given none.
_Unit = collections.namedtuple('_Unit', ['kernel_sizes', 'scope'])
_BOTTLENECK = {'conv1': 1, 'conv2': 3, 'conv3': 1}
_UNITS = {
    units.basic: _Unit({'conv1': 3, 'conv2': 3}, 'lite_bottleneck_v1'),
    units.bottleneck: _Unit(_BOTTLENECK, 'bottleneck_v1'),
    units.bottleneck_v2: _Unit(_BOTTLENECK, 'bottleneck_v2'),
}


def of_network(network, end_point=None, output_stride=None, store_non_strided_activations=False, multi_grid=None):
    """The receptive field of an end point of a network.

    Args:
        network: A name of `nets_factory.networks_map`, or a function that `resnet.network` made.
        end_point: Name of an end point that is a map: a block, a unit, or a convolution of a unit or of the root. None
            for the features, which are also those of the logits of a network with `global_pool=False`.
        output_stride: Like the other arguments, that of the network.

    Returns:
        A `field.Field`.

    Raises:
        ValueError: If there is no such network or end point, or the output stride cannot be reached.
    """
    if isinstance(network, str):
        network = nets_factory.get_network_fn(network, None).__wrapped__
    scope = inspect.signature(network).parameters['scope'].default
    layers, places = _of_blocks(network.layout.blocks(multi_grid=multi_grid), network.layout.root_block(),
                                output_stride, store_non_strided_activations, scope + '/')
    if end_point is None:
        return Field(layers)
    if end_point not in places:
        raise ValueError(f'There is no end point {end_point!r} that is a map in {network.__name__}; there are '
                         f'{", ".join(places)}.')
    return Field(layers[:places[end_point] + 1])


def of_blocks(blocks, root=None, output_stride=None, store_non_strided_activations=False, scope=''):
    """The receptive fields of all end points of a stack of blocks.

    Args:
        blocks: List of `resnet_utils.Block`s of the units of `nets.units`.
        root: `resnet_network.Root` before them, or None. A pool of no padding has that of `resnet_arg_scope`, 'SAME'.
        output_stride: Number, against the image; None for the nominal one.
        store_non_strided_activations: See `resnet_utils.stack_blocks_dense`.
        scope: What the names of the end points begin with.

    Returns:
        A dict from name to `field.Field`, in the order of the network.

    Raises:
        ValueError: If the output stride cannot be reached, or the units of a block are unknown.
    """
    layers, places = _of_blocks(blocks, root, output_stride, store_non_strided_activations, scope)
    return {name: Field(layers[:place + 1]) for name, place in places.items()}


def _of_blocks(blocks, root, output_stride, store_non_strided_activations, scope):
    """All layers, the features last, and the place of each end point among them.

    The strides and rates are those of `resnet_utils.stack_blocks_dense`.
    """
    root_stride = root.stride if root else 1
    reachable = [root_stride * stride for stride in resnet_utils.reachable_output_strides(blocks)]
    output_stride = resnet_utils.check_output_stride(output_stride, reachable)
    stack = _Stack(scope)
    depth = stack.add_root(root) if root else None
    current_stride, rate = root_stride, 1
    for block in blocks:
        for i, unit in enumerate(block.args):
            stride, is_last = unit.get('stride', 1), i == len(block.args) - 1
            stays_dense = current_stride == output_stride
            is_stored = store_non_strided_activations and is_last
            depth = stack.add_unit(f'{block.scope}/unit_{i + 1}/', block, unit, depth, rate, stride,
                                   1 if stays_dense or is_stored else stride)
            if is_stored:
                stack.name(block.scope)
            if stays_dense:
                rate *= stride
            else:
                current_stride *= stride
                if is_stored:
                    stack.add(1, stride)
        if not store_non_strided_activations:
            stack.name(block.scope)
    return stack.layers, stack.places


class _Stack:
    """Layers one after the other, with the names of some."""

    def __init__(self, scope):
        self.layers, self.places, self._scope = [Layer(())], {}, scope

    def add(self, kernel_size, stride=1, rate=1, padding='SAME', after=None, kind='window'):
        """Adds a layer after the last one, or after those of the numbers `after`, and returns its number."""
        if padding == 'explicit':
            padding = explicit(kernel_size, rate) if stride > 1 else 'SAME'
        after = (len(self.layers) - 1,) if after is None else after
        self.layers.append(Layer(after, kernel_size, stride, rate, padding, kind))
        return len(self.layers) - 1

    def name(self, name):
        """Names the last layer."""
        self.places[self._scope + name] = len(self.layers) - 1

    def add_root(self, root):
        """Adds a `Root` and returns its depth."""
        for scope, _, kernel_size, stride, padding in root.convs:
            self.add(kernel_size, stride, padding=padding)
            self.name(scope)
        if root.pool:
            kernel_size, stride, padding = root.pool
            self.add(kernel_size, stride, padding=padding or 'SAME')
        return root.convs[-1][1]

    def add_unit(self, scope, block, unit, depth, rate, nominal_stride, stride):
        """Adds a unit, whose stride is `stride` in place of the nominal one, and returns its depth."""
        if block.unit_fn not in _UNITS:
            raise ValueError(f'Units of {block.unit_fn!r} in block {block.scope!r} are unknown; those of nets.units '
                             'are known. Use graph_field.of_graph for others.')
        kernel_sizes, unit_scope = _UNITS[block.unit_fn]
        scope = f'{scope}{unit.get("scope") or unit_scope}/'
        inputs = len(self.layers) - 1
        shortcut = self.add(1, stride)
        if depth != unit['depth'] and unit.get('shortcut', 'projection') != 'zero_pad':
            self.name(scope + 'shortcut')
        rate, end = rate * unit.get('unit_rate', 1), inputs
        for conv, kernel_size in kernel_sizes.items():
            is_strided = conv == unit.get('strided_conv', 'conv2')
            end = self.add(kernel_size, stride if is_strided else 1, 1 if kernel_size == 1 else rate,
                           unit.get('padding', 'explicit'), after=(end,))
            self.name(scope + conv)
            rate *= nominal_stride // stride if is_strided else 1
        if unit.get('se_ratio'):
            end = self._add_squeeze_and_excitation(scope, end)
        self.add(1, after=(shortcut, end))
        self.name(scope[:-1])
        return unit['depth']

    def _add_squeeze_and_excitation(self, scope, end):
        scale = self.add(1, after=(end,), kind='global')
        for conv in ('reduce', 'expand'):
            self.name(f'{scope}se/{conv}')
        return self.add(1, after=(end, scale))
