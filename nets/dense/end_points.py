"""The end points that decoders read: which maps of a network have which stride.

    strides = reachable_output_strides('resnet_v1_50')  # [4, 8, 16, 32]
    names = decoder_end_points('resnet_v1_50', [4, 8], output_stride=16)
    # {4: 'resnet_v1_50/block1/unit_2/bottleneck_v1/conv3', 8: 'resnet_v1_50/block2/unit_3/bottleneck_v1/conv3'}
"""

import inspect

from nets import nets_factory, resnet_utils

# Scope and convolutions of each kind of unit, see `resnet.UNITS`.
_UNITS = {
    'basic': ('lite_bottleneck_v1', ('conv1', 'conv2')),
    'bottleneck': ('bottleneck_v1', ('conv1', 'conv2', 'conv3')),
    'bottleneck_v2': ('bottleneck_v2', ('conv1', 'conv2', 'conv3')),
}


def reachable_output_strides(network):
    """The output strides that a network can be built with, a list of ints, the nominal one last.

    Args:
        network: Name of a network, a key of `nets_factory.NETWORKS`, or a function that `resnet.network` made.

    Raises:
        ValueError: If there is no network of that name.
    """
    layout = _function(network).layout
    return [layout.root_block().stride * stride for stride in resnet_utils.reachable_output_strides(layout.blocks())]


def decoder_end_points(network, strides, output_stride=None, store_non_strided_activations=False, after_unit=False,
                       scope=None):
    """The names of the end points that hold a network's deepest features of given strides.

    They are those of the last unit whose result has the stride: in slim's networks, whose strides are in the last
    unit of a block, mostly the unit before. Of that unit it is the last convolution, normalised and not yet added to
    the shortcut, as DeepLab has it (Chen et al. 2018, arXiv:1802.02611, section 3.1, and its feature_extractor.py).
    Where no unit ends at a stride, it is the last convolution that has it, such as that of the root.

    Args:
        network: Name of a network, a key of `nets_factory.NETWORKS`, or a function that `resnet.network` made.
        strides: Ints, heights and widths of the images over those of the maps.
        output_stride: That of the network, as it is built; likewise `store_non_strided_activations`, with which the
            last units of the blocks have the stride that the units before them have, and `scope`, the name of the
            network's variable scope, None for its own.
        after_unit: Whether to take the result of the unit, after the addition, as feature pyramids do. In v2 it is
            not activated yet.

    Returns:
        A dict from stride to name, in the order of `strides`.

    Raises:
        ValueError: If there is no such network, or no map of a stride; the message says which strides there are.
    """
    if isinstance(strides, int):
        raise ValueError('strides must be a list of ints; got {!r}.'.format(strides))
    function = _function(network)
    root, output_stride = function.layout.root_block(), resnet_utils.check_output_stride(
        output_stride, reachable_output_strides(network))
    convs, stride = {}, 1
    for conv in root.convs:
        stride *= conv[3]
        convs[stride] = conv[0]
    units = {}
    for name, before, after in _units(function.layout, root.stride, output_stride, store_non_strided_activations):
        unit_scope, unit_convs = _UNITS[function.layout.unit]
        name = '{}/{}'.format(name, unit_scope)
        strided = unit_convs.index(function.layout.strided_conv)
        if before != after and strided and before not in units:
            convs[before] = '{}/{}'.format(name, unit_convs[strided - 1])
        units[after] = name if after_unit else '{}/{}'.format(name, unit_convs[-1])
    names = {**convs, **units}
    for stride in strides:
        if isinstance(stride, bool) or stride not in list(names):
            raise ValueError('strides must be among {} for {} with output_stride={}; got {!r}.'.format(
                ', '.join(map(str, sorted(names))), function.__name__, output_stride, stride))
    scope = scope or inspect.signature(function).parameters['scope'].default
    return {int(stride): '{}/{}'.format(scope, names[stride]) for stride in strides}


def _units(layout, stride, output_stride, is_stored):
    """Scope of each unit, and the strides of its inputs and its result; see `resnet_utils.stack_blocks_dense`."""
    for block in layout.blocks():
        for i, unit in enumerate(block.args):
            after = stride if stride == output_stride else stride * unit['stride']
            is_last = is_stored and i == len(block.args) - 1
            yield '{}/unit_{}'.format(block.scope, i + 1), stride, stride if is_last else after
            stride = after


def _function(network):
    """A network function by its name."""
    return network if callable(network) else nets_factory.get_network_fn(network, None).__wrapped__
