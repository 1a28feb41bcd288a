"""Rows of the family for tests: the real ones, narrow and short."""

from nets import nets_factory


def narrow(name):
    """A network's layout with few channels and two units a block."""
    layout = nets_factory.networks_map[name].layout
    num_blocks = len(layout.num_units)
    layout = layout._replace(num_units=(2,) * num_blocks, depths=(8, 8, 16, 16)[:num_blocks])
    if layout.cardinality > 1:
        layout = layout._replace(cardinality=4, group_width=32)
    return layout._replace(se_ratio=0.25) if layout.se_ratio else layout
