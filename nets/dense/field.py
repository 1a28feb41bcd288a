"""Which rows of an image a row of a feature map depends on: arithmetic on strides, kernels, rates and paddings.

All is said of rows and height, and holds for columns and width alike. A field is made of layers, by
`receptive_field.of_network` from a network's blocks, or by `graph_field.of_graph` from a graph:

    field = receptive_field.of_network('resnet_v1_50', output_stride=16)
    field.reach().size                          # 483 rows
    field.rows(3, 257)                          # exactly those that row 3 depends on, in an image of 257 rows
    logits = field.then(3, rate=12).then(1)     # the field of a head on these features
"""

import math
from typing import NamedTuple

import numpy as np


class Layer(NamedTuple):
    """A convolution, pool or sum, in one dimension. What comes out is that of one window on the sum of the inputs."""

    inputs: tuple  # numbers of the layers before it; none for the image
    kernel_size: int = 1
    stride: int = 1
    rate: int = 1
    padding: object = 'SAME'  # TensorFlow's 'SAME' or 'VALID', or zeros before and after, two ints
    kind: str = 'window'  # or 'global', a mean over all rows, or 'resize', to `stride` times as many (align_corners)

    @property
    def extent(self):
        """Rows from the first to the last of the window."""
        return (self.kernel_size - 1) * self.rate + 1

    def begin(self, size):
        """Rows of padding before an input of `size` rows. That of 'SAME' depends on the size, in strided layers."""
        if self.padding == 'VALID':
            return 0
        if self.padding == 'SAME':
            return max((-(-size // self.stride) - 1) * self.stride + self.extent - size, 0) // 2
        return self.padding[0]

    def map_size(self, size):
        """Rows of the result for an input of `size` rows."""
        if self.kind == 'global':
            return 1
        if self.kind == 'resize':
            return (size - 1) * self.stride + 1
        if self.padding == 'SAME':
            return -(-size // self.stride)
        return (size + (0 if self.padding == 'VALID' else sum(self.padding)) - self.extent) // self.stride + 1


def explicit(kernel_size, rate=1):
    """The padding of `layers.conv2d_same`."""
    begin = (kernel_size - 1) * rate // 2
    return (begin, (kernel_size - 1) * rate - begin)


class Reach(NamedTuple):
    """Row i of a map depends on rows i * stride + first to i * stride + last of the image, those that it has."""

    stride: int
    first: int
    last: int

    @property
    def size(self):
        """Number of these rows."""
        return self.last - self.first + 1


class Field:
    """The receptive field of a feature map.

    Attributes:
        layers: Tuple of `Layer`s, of which the first is the image, the last the map, and all matter to the map.
        alignment: The least common multiple of the strides of all layers. Images whose sizes differ by it are cut into
            windows in the same way, and so a part of an image that begins at a multiple of it has the same features.
        is_bounded: Whether rows depend on those near them only. They do not where something is pooled over the whole
            image, as in squeeze-and-excitation and in the image pooling of some heads.
        needs_corners: Whether something is resized with `align_corners`, which is the same function at all sizes only
            among those of a multiple of `alignment` plus 1.
    """

    def __init__(self, layers):
        self.layers = _pruned(layers)
        self.is_bounded = all(layer.kind != 'global' for layer in self.layers)
        self.needs_corners = any(layer.kind == 'resize' for layer in self.layers)
        self.alignment = math.lcm(*_strides(self.layers))

    def __eq__(self, other):
        return isinstance(other, Field) and self.layers == other.layers

    def __hash__(self):
        return hash(self.layers)

    def then(self, kernel_size, stride=1, rate=1, padding='SAME'):
        """The field after a convolution or pool of the map; see `Layer`."""
        return self._with(Layer((len(self.layers) - 1,), kernel_size, stride, rate, padding))

    def pooled(self):
        """The field of the map's mean over all of the image."""
        return self._with(Layer((len(self.layers) - 1,), kind='global'))

    def resized(self, factor):
        """The field after bilinear resizing (`align_corners=True`) from n rows to (n - 1) * factor + 1."""
        return self._with(Layer((len(self.layers) - 1,), stride=factor, kind='resize'))

    def _with(self, layer):
        return Field(self.layers + (layer,))

    def local(self):
        """The field where all that is pooled over the whole image is given.

        Raises:
            ValueError: If nothing else is left.
        """
        given, layers = set(), []
        for i, layer in enumerate(self.layers):
            if layer.kind == 'global' or (layer.inputs and given.issuperset(layer.inputs)):
                given.add(i)
            layers.append(layer._replace(inputs=tuple(n for n in layer.inputs if n not in given)))
        if len(layers) - 1 in given:
            raise ValueError('The map depends on nothing but what is pooled over the whole image.')
        return Field(layers)

    def map_size(self, size):
        """Rows of the map for an image of `size` rows."""
        return self._sizes(size)[-1]

    def reach(self, size=None):
        """First and last row that a row depends on.

        Args:
            size: Rows of the image, which decide where `SAME` padding begins; None for a multiple of `alignment` plus
                1, where it is that of `conv2d_same`.

        Returns:
            A `Reach`. Where something is resized, some rows reach less far.

        Raises:
            ValueError: If the field is unbounded.
        """
        if not self.is_bounded:
            raise ValueError('The receptive field is unbounded: something is pooled over the whole image. Use '
                             'field.local() for that of all else.')
        sizes = self._sizes(self.alignment + 1 if size is None else size)
        reaches = [Reach(1, 0, 0)]
        for layer in self.layers[1:]:
            inputs = [reaches[i] for i in layer.inputs]
            stride = inputs[0].stride
            first, last = min(reach.first for reach in inputs), max(reach.last for reach in inputs)
            if layer.kind == 'resize':
                finer = _divided(stride, layer.stride)
                reaches.append(Reach(finer, first - stride + finer, last + stride - finer))
            else:
                begin = layer.begin(sizes[layer.inputs[0]])
                reaches.append(Reach(stride * layer.stride, first - stride * begin,
                                     last + stride * (layer.extent - 1 - begin)))
        return reaches[-1]

    def rows(self, row, size):
        """The rows of an image of `size` rows that a row of the map depends on, all of them if the field is unbounded.

        Returns:
            Array of ints, in order. Atrous convolutions leave holes.

        Raises:
            ValueError: If there is no such row.
        """
        sizes = self._sizes(size)
        if not 0 <= row < sizes[-1]:
            raise ValueError(f'row must be one of the {sizes[-1]} of the map, from 0; got {row}.')
        wanted = [np.zeros(max(n, 0), bool) for n in sizes]
        wanted[-1][row] = True
        for i in reversed(range(1, len(self.layers))):
            for n in self.layers[i].inputs:
                rows = np.flatnonzero(wanted[i]) if sizes[n] > 1 else np.zeros(min(1, wanted[i].sum()), int)
                _mark(wanted[n], self.layers[i], rows, size=sizes[n])
        return np.flatnonzero(wanted[0])

    def _sizes(self, size):
        """Rows of each layer's result."""
        sizes = [size]
        for layer in self.layers[1:]:
            inputs = {sizes[i] for i in layer.inputs}
            inputs = inputs if len(inputs) == 1 else inputs - {1}  # means over the image go to every row
            if len(inputs) > 1:
                raise ValueError(
                    f'Maps of {" and ".join(map(str, sorted(inputs)))} rows meet for an image of {size}; its size must '
                    f'be a multiple of {self.alignment} plus 1.')
            sizes.append(layer.map_size(*inputs))
        return sizes


def joined(fields):
    """The field of the sum or concatenation of several maps of the same image, such as the branches of a head."""
    layers, numbers, ends = [], {}, []
    for field in fields:
        places = []
        for layer in field.layers:
            layer = layer._replace(inputs=tuple(places[i] for i in layer.inputs))
            if layer not in numbers:
                numbers[layer] = len(layers)
                layers.append(layer)
            places.append(numbers[layer])
        ends.append(places[-1])
    return Field(layers + [Layer(tuple(dict.fromkeys(ends)))])


def _mark(wanted, layer, rows, size):
    """Marks the rows of an input that rows of a layer depend on."""
    if layer.kind == 'global':
        wanted[:] |= rows.size > 0
    elif layer.kind == 'resize':
        wanted[rows // layer.stride] = True
        wanted[-(-rows // layer.stride)] = True
    else:
        for k in range(layer.kernel_size):
            seen = rows * layer.stride - layer.begin(size) + k * layer.rate
            wanted[seen[(seen >= 0) & (seen < size)]] = True


def _pruned(layers):
    """The layers that the last one depends on, in order."""
    used = {len(layers) - 1}
    for i in reversed(range(len(layers))):
        if i in used:
            used.update(layers[i].inputs)
    if 0 not in used:
        raise ValueError('The map does not depend on the image.')
    places = {n: place for place, n in enumerate(sorted(used))}
    return tuple(layers[n]._replace(inputs=tuple(places[i] for i in layers[n].inputs)) for n in sorted(used))


def _strides(layers):
    """The stride of each layer's result against the image, 1 for what is pooled over all of it."""
    strides = [1]
    for layer in layers[1:]:
        inputs = {strides[i] for i in layer.inputs} - ({1} if len(layer.inputs) > 1 else set()) or {1}
        if len(inputs) > 1:
            raise ValueError(f'Maps of the strides {" and ".join(map(str, sorted(inputs)))} meet.')
        stride, = inputs
        strides.append(1 if layer.kind == 'global' else
                       _divided(stride, layer.stride) if layer.kind == 'resize' else stride * layer.stride)
    return strides


def _divided(stride, factor):
    if stride % factor:
        raise ValueError(f'A map of stride {stride} cannot be resized by {factor}, which does not divide it.')
    return stride // factor
