"""Runs the residual networks of torchvision and timm in torch, from their state dicts alone.

Written from what those libraries compute (He et al. 2015, Goyal et al. 2017 section 5.1, Hu et al. 2018), for
verification. Torch's own operations do all of the work, in float64, where rounding is too small to see.
"""

_EPSILON = 1e-5


def run(state, num_units, cardinality, images):
    """What a network makes of images.

    Args:
        state: Dict from key of the state dict to array.
        num_units: Number of units of each layer.
        cardinality: Groups of the 3x3 convolution of bottlenecks.
        images: Array `[batch, height, width, 3]`.

    Returns:
        A dict of arrays, channels last: the units as `layer1.0`, the means over height and width as `pool`, and the
        logits as `fc` if there are any.

    Raises:
        ImportError: torch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise ImportError("To run networks of torchvision and timm, install torch: pip install 'tf1-nets[torch]'"
                          ) from None
    with torch.no_grad():
        network = _Network(torch, state, cardinality)
        results = network.run(torch.from_numpy(images.transpose(0, 3, 1, 2)).double(), num_units)
        return {name: (net.permute(0, 2, 3, 1) if net.ndim == 4 else net).numpy() for name, net in results.items()}


class _Network:
    """The layers of a network, by the names of their weights."""

    def __init__(self, torch, state, cardinality):
        self._torch = torch
        self._functional = torch.nn.functional
        self._state = {name: torch.from_numpy(array).double() for name, array in state.items()
                       if array.dtype.kind == 'f'}
        self._cardinality = cardinality

    def run(self, net, num_units):
        results = {}
        net = self._torch.relu(self._normalized(self._convolved(net, 'conv1', 2), 'bn1'))
        net = self._functional.max_pool2d(net, 3, 2, 1)
        for i, number in enumerate(num_units, 1):
            for j in range(number):
                net = results[f'layer{i}.{j}'] = self._unit(net, f'layer{i}.{j}.', 2 if i > 1 and j == 0 else 1)
        results['pool'] = net.mean((2, 3))
        if 'fc.weight' in self._state:
            results['fc'] = self._functional.linear(
                results['pool'], self._state['fc.weight'], self._state['fc.bias'])
        return results

    def _unit(self, net, scope, stride):
        """A basic unit has its stride in the first of two convolutions, a bottleneck in the second of three."""
        shortcut, last = net, 3 if scope + 'conv3.weight' in self._state else 2
        if scope + 'downsample.0.weight' in self._state:
            shortcut = self._normalized(self._convolved(net, scope + 'downsample.0', stride), scope + 'downsample.1')
        for i in range(1, last + 1):
            groups = self._cardinality if last == 3 and i == 2 else 1
            net = self._convolved(net, f'{scope}conv{i}', stride if i == last - 1 else 1, groups)
            net = self._normalized(net, f'{scope}bn{i}')
            net = self._torch.relu(net) if i < last else net
        if scope + 'se.fc1.weight' in self._state:
            squeezed = self._torch.relu(self._convolved(net.mean((2, 3), keepdim=True), scope + 'se.fc1', 1))
            net = net * self._torch.sigmoid(self._convolved(squeezed, scope + 'se.fc2', 1))
        return self._torch.relu(net + shortcut)

    def _convolved(self, net, name, stride, groups=1):
        kernel = self._state[name + '.weight']
        return self._functional.conv2d(net, kernel, self._state.get(name + '.bias'), stride, kernel.shape[-1] // 2,
                                       groups=groups)

    def _normalized(self, net, name):
        mean, variance, gamma, beta = (
            self._state[f'{name}.{part}'] for part in ('running_mean', 'running_var', 'weight', 'bias'))
        return self._functional.batch_norm(net, mean, variance, gamma, beta, eps=_EPSILON)
