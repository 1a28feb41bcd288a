"""The variables of a network, from its row of the table and without a graph.

    tables.variables('resnet_v1_50', num_classes=1001)['resnet_v1_50/logits/weights']    # (1, 1, 2048, 1001)
"""

import collections
import inspect

from nets import nets_factory

_BATCH_NORM = ('gamma', 'beta', 'moving_mean', 'moving_variance')
# Kernel size of each convolution of a unit, by kind of unit.
_KERNELS = {'basic': {'conv1': 3, 'conv2': 3}, 'bottleneck': {'conv1': 1, 'conv2': 3, 'conv3': 1},
            'bottleneck_v2': {'conv1': 1, 'conv2': 3, 'conv3': 1}}
_SCOPES = {'basic': 'lite_bottleneck_v1', 'bottleneck': 'bottleneck_v1', 'bottleneck_v2': 'bottleneck_v2'}


def variables(name, num_classes=1000, channels=3):
    """Names and shapes of a network's variables.

    Args:
        name: Name of the network, a key of `nets_factory.NETWORKS`.
        num_classes: Number of logits; 0 or None for none.
        channels: Number of channels of the images.

    Returns:
        An ordered dict from name to shape, a tuple of ints, in the order in which the graph's variables are made.

    Raises:
        ValueError: There is no network of that name, or it has no `layout`.
    """
    if name not in nets_factory.NETWORKS:
        raise ValueError('There is no network {!r}; there are {}.'.format(name, ', '.join(nets_factory.NETWORKS)))
    if not has_table(name):
        raise ValueError('The network {!r} has no layout, from which its variables could be told; networks that '
                         '`resnet.network` makes have one.'.format(name))
    layout = nets_factory.NETWORKS[name].builder.layout
    table = _Table(scope(name), layout.conv_biases)
    root = layout.root_block()
    plain = 'normalizer_fn' in root.conv_args and root.conv_args['normalizer_fn'] is None
    for conv, depth, kernel_size, _, _ in root.convs:
        channels = table.conv(conv, kernel_size, channels, depth, normalised=not plain)
    for block in layout.blocks():
        for number, unit in enumerate(block.args):
            below = '{}/unit_{}/{}'.format(block.scope, number + 1, _SCOPES[layout.unit])
            channels = _add_unit(table, below, layout, unit, channels)
    if layout.unit == 'bottleneck_v2':
        table.batch_norm('postnorm', channels)
    if num_classes:
        table.conv('logits', 1, channels, num_classes, normalised=False)
    return table.shapes


def has_table(name):
    """Whether a network is made of a layout, from which `variables` can tell."""
    return hasattr(nets_factory.NETWORKS[name].builder, 'layout')


def scope(name):
    """The default scope of a network."""
    return inspect.signature(nets_factory.NETWORKS[name].builder).parameters['scope'].default


class _Table:
    """Collects the shapes of layers."""

    def __init__(self, scope_, conv_biases):
        self.shapes = collections.OrderedDict()
        self._scope = scope_
        self._conv_biases = conv_biases

    def conv(self, name, kernel_size, channels, depth, groups=1, normalised=True):
        """Adds a convolution and returns its depth."""
        self._add(name + '/weights', kernel_size, kernel_size, channels // groups, depth)
        if self._conv_biases or not normalised:
            self._add(name + '/biases', depth)
        if normalised:
            self.batch_norm(name + '/BatchNorm', depth)
        return depth

    def batch_norm(self, name, depth):
        for part in _BATCH_NORM:
            self._add('{}/{}'.format(name, part), depth)

    def _add(self, name, *shape):
        self.shapes['{}/{}'.format(self._scope, name)] = tuple(shape)


def _add_unit(table, below, layout, unit, channels):
    """Adds a unit and returns its depth."""
    preactivated = layout.unit == 'bottleneck_v2'
    depth = unit['depth']
    if preactivated:
        table.batch_norm(below + '/preact', channels)
    if depth != channels and layout.shortcut in ('projection', 'plain_projection'):
        table.conv(below + '/shortcut', 1, channels, depth,
                   normalised=not preactivated and layout.shortcut == 'projection')
    kernels = _KERNELS[layout.unit]
    for conv, kernel_size in kernels.items():
        last = conv == max(kernels)
        conv_depth = depth if last else unit.get('depth_bottleneck', depth)
        groups = unit.get('cardinality', 1) if conv == 'conv2' and not last else 1
        channels = table.conv(below + '/' + conv, kernel_size, channels, conv_depth, groups,
                              normalised=not (preactivated and last))
    if unit.get('se_ratio') is not None:
        reduced = int(depth * unit['se_ratio'])
        table.conv(below + '/se/reduce', 1, depth, reduced, normalised=False)
        table.conv(below + '/se/expand', 1, reduced, depth, normalised=False)
    return depth
