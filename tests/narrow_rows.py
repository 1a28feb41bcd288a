"""Rows of the family for tests: the real ones, narrow and short."""

from nets import nets_factory

_NVIDIA = {'depths': (4, 8, 16), 'root_multiplier': 1 / 8, 'num_units': (1, 2, 2)}
_GROUPED = dict(_NVIDIA, cardinality=4, group_width=32)
# The networks of goldens/nvidia: the row that each is made of, and what it has in place of its columns.
NVIDIA = {
    'nvidia_narrow': ('resnet_nvidia_50', _NVIDIA),
    'nvidia_resnext_narrow': ('resnext_nvidia_101_32x4d', _GROUPED),
    'nvidia_se_resnext_narrow': ('se_resnext_nvidia_101_32x4d', _GROUPED),
    'nvidia_2019_narrow': ('resnet_nvidia_50_2019', _NVIDIA),
}


def narrow(name):
    """A network's layout with few channels and two units a block."""
    layout = nets_factory.networks_map[name].layout
    num_blocks = len(layout.num_units)
    layout = layout._replace(num_units=(2,) * num_blocks, depths=(8, 8, 16, 16)[:num_blocks])
    if layout.cardinality > 1:
        layout = layout._replace(cardinality=4, group_width=32)
    return layout._replace(se_ratio=0.25) if layout.se_ratio else layout
