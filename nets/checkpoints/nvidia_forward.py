"""Runs NVIDIA's networks for TensorFlow 1 in NumPy, from the arrays of their checkpoints alone, for verification.

Source: see `nvidia_names`. All is written out and in float64, where rounding is too small to see.
"""

import re

import numpy as np

_EPSILON = 1.001e-5  # of 1e-5, the least that TensorFlow's fused batch normalisation takes
_UNIT = re.compile(r'btlnck_block_(\d+)_(\d+)/bottleneck_1/conv2d/kernel')


def run(arrays, same, images):
    """What a network makes of images.

    Args:
        arrays: Dict from name below the network's scope to array.
        same: Whether strided convolutions have TensorFlow's `SAME` padding; otherwise as many zeros before as after.
        images: Array `[batch, height, width, 3]`.

    Returns:
        A dict of arrays: the units as `1.1`, `1.2`, `2.1` and so on, in their order; the means over height and width as
        `pool`; and the logits as `logits` if there are any.
    """
    network = _Network(arrays, same)
    net = np.maximum(network.convolved(images.astype(np.float64), 'conv2d', 2), 0)
    net, results = _windows(net, 3, 2, _same(net.shape, 3, 2), -np.inf).max((3, 4)), {}
    units = sorted({tuple(map(int, match.groups())) for match in map(_UNIT.fullmatch, arrays) if match})
    for i, block in enumerate(sorted({block for block, _ in units}), 1):
        for j, number in enumerate([number for other, number in units if other == block], 1):
            net = network.unit(net, f'btlnck_block_{block}_{number}/', 2 if i > 1 and j == 1 else 1)
            results[f'{i}.{j}'] = net
    results['pool'] = net.mean((1, 2))
    if 'output/dense/kernel' in arrays:
        results['logits'] = network.dense(results['pool'], 'output/dense')
    return results


class _Network:
    """The layers of a network, by the scopes of their variables."""

    def __init__(self, arrays, same):
        self._arrays = {name: array.astype(np.float64) for name, array in arrays.items() if array.dtype.kind == 'f'}
        self._same = same

    def unit(self, net, scope, stride):
        shortcut = net
        if scope + 'shortcut/conv2d/conv2d/kernel' in self._arrays:
            shortcut = self.convolved(net, scope + 'shortcut/conv2d', stride)
        net = np.maximum(self.convolved(net, scope + 'bottleneck_1', 1), 0)
        net = np.maximum(self.convolved(net, scope + 'bottleneck_2', stride), 0)
        net = self.convolved(net, scope + 'bottleneck_3', 1)
        if scope + 'bottleneck_se_layer/dense/kernel' in self._arrays:
            squeezed = np.maximum(self.dense(net.mean((1, 2)), scope + 'bottleneck_se_layer/dense'), 0)
            scale = 1 / (1 + np.exp(-self.dense(squeezed, scope + 'bottleneck_se_layer/dense_1')))
            net = net * scale[:, None, None]
        return np.maximum(shortcut + net, 0)

    def convolved(self, net, scope, stride):
        """A convolution, of as many groups as its kernel says, and its batch normalisation."""
        kernel = self._arrays.get(scope + '/conv2d/kernel')
        kernel = self._arrays[scope + '/bottleneck_2group_filter'] if kernel is None else kernel
        size, depth = kernel.shape[0], kernel.shape[2]
        padding = _same(net.shape, size, stride) if self._same or stride == 1 else [(size // 2, size // 2)] * 2
        windows = _windows(net, size, stride, padding, 0)
        groups = np.split(kernel, net.shape[3] // depth, 3)
        net = np.concatenate([np.einsum('bhwxyc,xycd->bhwd', windows[..., i * depth:(i + 1) * depth], group,
                                        optimize=True) for i, group in enumerate(groups)], 3)
        mean, variance, gamma, beta = (self._arrays[f'{scope}/BatchNorm/{part}'] for part in (
            'moving_mean', 'moving_variance', 'gamma', 'beta'))
        return (net - mean) / np.sqrt(variance + _EPSILON) * gamma + beta

    def dense(self, net, scope):
        kernel = self._arrays[scope + '/kernel']
        return net @ kernel.reshape(kernel.shape[-2:]) + self._arrays[scope + '/bias']


def _same(shape, size, stride):
    """TensorFlow's padding of height and width: what the last window lacks, and of an odd number more after."""
    lacking = [max((-(-length // stride) - 1) * stride + size - length, 0) for length in shape[1:3]]
    return [(number // 2, number - number // 2) for number in lacking]


def _windows(net, size, stride, padding, value):
    """The windows of a padded array: `[batch, height, width, size, size, channels]`."""
    net = np.pad(net, [(0, 0), *padding, (0, 0)], constant_values=value)
    windows = np.lib.stride_tricks.sliding_window_view(net, (size, size), (1, 2))[:, ::stride, ::stride]
    return windows.transpose(0, 1, 2, 4, 5, 3)
