"""Residual units that start as their shortcuts: the scale of their last batch normalisation starts at zero.

Source: Goyal et al., "Accurate, Large Minibatch SGD", 2017 (arXiv:1706.02677), section 5.1.
"""

import re

import tensorflow.compat.v1 as tf

from nets import nets_factory, resnet


def variable_getter(model_name):
    """What a variable scope needs as `custom_getter` for the network to be built with such scales.

    Args:
        model_name: A name of `nets_factory.NETWORKS`.

    Returns:
        A function.

    Raises:
        ValueError: The network's units end otherwise.
    """
    layout = getattr(nets_factory.NETWORKS[model_name].builder, 'layout', None)
    unit = resnet.UNITS[layout.unit] if layout else None
    if unit is None or 'zero_last_gamma' not in unit.columns:
        raise ValueError('zero_last_gamma needs units that end with a batch normalisation, and those of '
                         f'{model_name} do not, or have no layout to tell by.')
    last_gamma = re.compile(rf'(?:.*/)?unit_\d+/[^/]+/{unit.convs[-1]}/BatchNorm/gamma')

    def get(getter, name, *args, **kwargs):
        if last_gamma.fullmatch(name):
            kwargs['initializer'] = tf.zeros_initializer()
        return getter(name, *args, **kwargs)

    return get
