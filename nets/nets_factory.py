"""The networks by name: builder, arg scope and preset in one table.

    network_fn = nets_factory.get_network_fn('resnet_v1_50', num_classes=5, is_training=True)
    logits, end_points = network_fn(images)
"""

import collections
import functools

import tf_slim as slim

from nets import resnet_v1, resnet_v2

# How the images of a network's published weights were prepared: `image_size` in pixels, the name of the
# `preprocessing`, and the `label_offset` that turns class numbers without a background class into the network's.
Preset = collections.namedtuple('Preset', ['image_size', 'preprocessing', 'label_offset'])
Network = collections.namedtuple('Network', ['builder', 'arg_scope', 'preset'])

_V1 = Preset(224, 'vgg', 0)
_V2 = Preset(299, 'inception', 1)
_SMALL = Preset(32, 'cifar', 0)

NETWORKS = collections.OrderedDict(
    (builder.__name__, Network(builder, module.resnet_arg_scope, preset)) for builder, module, preset in [
        (resnet_v1.resnet_v1_14, resnet_v1, _SMALL),
        (resnet_v1.resnet_v1_50, resnet_v1, _V1),
        (resnet_v1.resnet_v1_101, resnet_v1, _V1),
        (resnet_v1.resnet_v1_152, resnet_v1, _V1),
        (resnet_v1.resnet_v1_200, resnet_v1, _V1),
        (resnet_v2.resnet_v2_50, resnet_v2, _V2),
        (resnet_v2.resnet_v2_101, resnet_v2, _V2),
        (resnet_v2.resnet_v2_152, resnet_v2, _V2),
        (resnet_v2.resnet_v2_200, resnet_v2, _V2),
    ])
networks_map = {name: network.builder for name, network in NETWORKS.items()}
arg_scopes_map = {name: network.arg_scope for name, network in NETWORKS.items()}


def get_network_fn(name, num_classes, weight_decay=0.0, is_training=False, **arg_scope_kwargs):
    """The builder of a network with number of classes, weight decay and mode set.

    Args:
      name: Name of the network, a key of `networks_map`.
      num_classes: Number of logits; 0 or None for features.
      weight_decay: Factor of the L2 loss of the weights.
      is_training: Bool or bool tensor: whether batch normalisation uses the statistics of the batch.
      **arg_scope_kwargs: Other arguments of the network's arg scope, such as `batch_norm_decay`.

    Returns:
      A function `network_fn(images, **kwargs)` that returns logits and end points. It has the attributes
      `default_image_size` (in pixels; slim's is 224 for every network) and `preset`, a `Preset`.

    Raises:
      ValueError: If there is no network of that name; the message lists those that there are.
    """
    if name not in NETWORKS:
        raise ValueError('Unknown network {!r}; there are {}.'.format(name, ', '.join(NETWORKS)))
    network = NETWORKS[name]
    arg_scope = network.arg_scope(weight_decay=weight_decay, **arg_scope_kwargs)

    @functools.wraps(network.builder)
    def network_fn(images, **kwargs):
        with slim.arg_scope(arg_scope):
            return network.builder(images, num_classes=num_classes, is_training=is_training, **kwargs)

    network_fn.preset = network.preset
    return network_fn
