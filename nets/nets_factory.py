"""The networks by name: builder, arg scope and preset in one table.

    network_fn = nets_factory.get_network_fn('resnet_v1_50', num_classes=5, is_training=True)
    logits, end_points = network_fn(images)
"""

import collections
import difflib
import functools

import tf_slim as slim

from nets import resnet_keras, resnet_nvidia, resnet_small, resnet_v1, resnet_v1_beta, resnet_v2, resnet_v15, resnext

# How the images of a network's published weights were prepared: `image_size` in pixels, the name of the
# `preprocessing`, and the `label_offset` that turns class numbers without a background class into the network's.
Preset = collections.namedtuple('Preset', ['image_size', 'preprocessing', 'label_offset'])
Network = collections.namedtuple('Network', ['builder', 'arg_scope', 'preset'])

# Module, names after a common prefix, preset.
_ROWS = [
    (resnet_v1, 'resnet_v1_', ['14'], Preset(32, 'cifar', 0)),
    (resnet_v1, 'resnet_v1_', ['18', '34', '50', '101', '152', '200'], Preset(224, 'vgg', 0)),
    (resnet_v1_beta, 'resnet_v1_', ['18_beta', '50_beta', '101_beta'], Preset(224, 'inception', 0)),
    (resnet_v2, 'resnet_v2_', ['50', '101', '152', '200'], Preset(299, 'inception', 1)),
    (resnet_v15, 'resnet_v15_', ['18', '34', '50', '101', '152'], Preset(224, 'torchvision', 0)),
    (resnext, 'resnext_', ['50_32x4d', '101_32x4d', '101_32x8d', '101_64x4d'], Preset(224, 'torchvision', 0)),
    (resnext, 'se_resnext_', ['50_32x4d', '101_32x4d'], Preset(224, 'torchvision', 0)),
    (resnext, 'wide_resnet_', ['50_2', '101_2'], Preset(224, 'torchvision', 0)),
    (resnet_small, 'resnet_cifar_', ['20', '32', '44', '56', '110'], Preset(32, 'cifar', 0)),
    (resnet_small, 'resnet_small_', ['18', '34'], Preset(32, 'cifar', 0)),
    (resnet_keras, 'resnet_keras_', ['50', '101', '152'], Preset(224, 'caffe', 0)),
    (resnet_keras, 'resnet_keras_v2_', ['50', '101', '152'], Preset(224, 'inception', 0)),
    (resnet_keras, 'resnext_keras_', ['50_32x4d'], Preset(224, 'torchvision', 0)),
    # Not to the digit; `nets convert` writes NVIDIA's own means and deviations beside the weights.
    (resnet_nvidia, 'resnet_nvidia_', ['50', '50_2019'], Preset(224, 'torchvision', 0)),
    (resnet_nvidia, 'resnext_nvidia_', ['101_32x4d'], Preset(224, 'torchvision', 0)),
    (resnet_nvidia, 'se_resnext_nvidia_', ['101_32x4d'], Preset(224, 'torchvision', 0)),
]


def _network(module, name, preset):
    builder = getattr(module, name)
    return Network(builder, builder.arg_scope, preset)


NETWORKS = collections.OrderedDict((prefix + name, _network(module, prefix + name, preset))
                                   for module, prefix, names, preset in _ROWS for name in names)
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
        alike = difflib.get_close_matches(str(name), NETWORKS, n=1)
        raise ValueError('Unknown network {!r}; {}the networks are {}.'.format(
            name, 'did you mean {!r}? '.format(alike[0]) if alike else '', ', '.join(NETWORKS)))
    network = NETWORKS[name]
    arg_scope = network.arg_scope(weight_decay=weight_decay, **arg_scope_kwargs)

    @functools.wraps(network.builder)
    def network_fn(images, **kwargs):
        with slim.arg_scope(arg_scope):
            return network.builder(images, num_classes=num_classes, is_training=is_training, **kwargs)

    network_fn.preset = network.preset
    return network_fn
