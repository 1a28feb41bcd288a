"""Random weights and statistics that origins and our networks share; NumPy only."""

from goldens import fill


def fill_variable(name, shape):
    """The golden value of one of our variables, where every unit's last gamma is small.

    `fill` makes it small in bottlenecks only. With it the sums of deep networks stay of order one.
    """
    value = fill.fill_variable(name, shape)
    return value * fill.RESIDUAL_SCALE if name.endswith('lite_bottleneck_v1/conv2/BatchNorm/gamma') else value
