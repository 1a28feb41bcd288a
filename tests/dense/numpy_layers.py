"""The layers of heads in NumPy: plain loops in float64, written from the papers, for comparison."""

import math

import golden
import numpy as np
import tensorflow.compat.v1 as tf


def random(name, shape):
    """Numbers for a variable or a map of this name; every variable matters and no activation grows much."""
    state = np.random.RandomState(sum(name.encode()))
    if name.endswith(('gamma', 'variance')):
        return state.uniform(0.5, 1.5, shape)
    fan_in = {'weights': np.prod(shape[:-1]), 'depthwise_weights': 9}.get(name.split('/')[-1], 1)
    return state.normal(0, fan_in ** -0.5, shape)


def fill(session):
    """Gives all variables of the graph random values, and returns them by name."""
    values = {variable.op.name: random(variable.op.name, variable.shape.as_list())
              for variable in tf.global_variables()}
    golden.assign(session, [(variable, values[variable.op.name]) for variable in tf.global_variables()])
    return values


class Reference:
    """Layers with the variables of a graph.

    Attributes:
        values: Dict from the names of variables to their values.
        is_training: Whether batch normalisation uses the statistics of the batch.
        epsilon: Of batch normalisation.
        bound: What activations are at most.
    """

    def __init__(self, values, is_training=False, epsilon=1e-5, bound=math.inf):
        self.values = {name: value.astype(np.float64) for name, value in values.items()}
        self.is_training = is_training
        self.epsilon = epsilon
        self.bound = bound

    def conv(self, scope, net, rate=1, stride=1):
        """Convolution, normalised and activated; separable where the scope has no weights of its own."""
        if scope + '/weights' in self.values:
            net = conv2d(net, self.values[scope + '/weights'], rate, stride)
            return self.activate(self.normalise(scope, net))
        depthwise = scope + '_depthwise'
        net = self.activate(self.normalise(depthwise, depthwise_conv2d(
            net, self.values[depthwise + '/depthwise_weights'], rate)))
        return self.conv(scope + '_pointwise', net)

    def linear(self, scope, net, rate=1):
        """Convolution with biases."""
        return conv2d(net, self.values[scope + '/weights'], rate) + self.values[scope + '/biases']

    def normalise(self, scope, net):
        part = {name: self.values['{}/BatchNorm/{}'.format(scope, name)]
                for name in ('gamma', 'beta', 'moving_mean', 'moving_variance')}
        mean, variance = part['moving_mean'], part['moving_variance']
        if self.is_training:
            mean, variance = moments(net)
        return (net - mean) / np.sqrt(variance + self.epsilon) * part['gamma'] + part['beta']

    def activate(self, net):
        return np.clip(net, 0, self.bound)


def moments(net):
    """Mean and variance of each channel."""
    count = net.shape[0] * net.shape[1] * net.shape[2]
    mean = net.sum((0, 1, 2)) / count
    return mean, ((net - mean) ** 2).sum((0, 1, 2)) / count


def conv2d(net, weights, rate=1, stride=1):
    """Convolution with TensorFlow's padding 'SAME'."""
    return _slide(net, weights.shape[:2], weights.shape[3], rate, stride,
                  lambda pixel, i, j: pixel @ weights[i, j])


def depthwise_conv2d(net, weights, rate=1):
    """Convolution of each channel by itself."""
    return _slide(net, weights.shape[:2], weights.shape[2], rate, 1, lambda pixel, i, j: pixel * weights[i, j, :, 0])


def _slide(net, kernel, depth, rate, stride, product):
    batch, height, width, _ = net.shape
    out = np.zeros([batch, -(-height // stride), -(-width // stride), depth])
    tops = [max((n_out - 1) * stride + (k - 1) * rate + 1 - n, 0) // 2
            for n_out, n, k in zip(out.shape[1:3], (height, width), kernel)]
    for y in range(out.shape[1]):
        for x in range(out.shape[2]):
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    row, column = y * stride + i * rate - tops[0], x * stride + j * rate - tops[1]
                    if 0 <= row < height and 0 <= column < width:
                        out[:, y, x] += product(net[:, row, column], i, j)
    return out


def resize(net, size):
    """Bilinear resizing that keeps the centres of the corner pixels."""
    out = np.zeros([net.shape[0], *size, net.shape[3]])
    for y in range(size[0]):
        for x in range(size[1]):
            row, column = (i * (old - 1) / (new - 1) if new > 1 else 0
                           for i, old, new in zip((y, x), net.shape[1:3], size))
            top, left = int(row), int(column)
            bottom, right = min(top + 1, net.shape[1] - 1), min(left + 1, net.shape[2] - 1)
            down, along = row - top, column - left
            out[:, y, x] = ((1 - down) * ((1 - along) * net[:, top, left] + along * net[:, top, right]) +
                            down * ((1 - along) * net[:, bottom, left] + along * net[:, bottom, right]))
    return out


def mean_over(net, rows, columns):
    """The mean over some rows and columns."""
    total = np.zeros([net.shape[0], net.shape[3]])
    for row in rows:
        for column in columns:
            total += net[:, row, column]
    return total / (len(rows) * len(columns))


def sliding_means(net, window, stride=1):
    """The means over all windows that fit."""
    height, width = (min(length, n) for length, n in zip(window, net.shape[1:3]))
    return np.stack([np.stack([mean_over(net, range(y, y + height), range(x, x + width))
                               for x in range(0, net.shape[2] - width + 1, stride)], 1)
                     for y in range(0, net.shape[1] - height + 1, stride)], 1)


def grid_means(net, bins):
    """The means over a grid of `bins` x `bins` cells, each of all pixels that it touches."""
    def cells(size):
        return [range(math.floor(i * size / bins), math.ceil((i + 1) * size / bins)) for i in range(bins)]

    return np.stack([np.stack([mean_over(net, rows, columns) for columns in cells(net.shape[2])], 1)
                     for rows in cells(net.shape[1])], 1)


def repeat(net, size):
    """Every pixel four times, in a map of twice the size or one less."""
    out = np.zeros([net.shape[0], *size, net.shape[3]])
    for y in range(size[0]):
        for x in range(size[1]):
            out[:, y, x] = net[:, y // 2, x // 2]
    return out
