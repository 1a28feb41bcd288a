"""Which networks of ours the weights of Keras, torch and NVIDIA fill, told by their layouts, and how."""

import collections

from nets import nets_factory, resnet_keras, resnet_nvidia, resnet_v1, resnet_v15, resnext
from nets.checkpoints import keras_names, nvidia_names, torch_names

# What a network's weights may come from. name: 'keras', 'torch' or one of `nvidia_names.ORIGINS`. unit: the scope of
# our units. grouped: whether Keras and NVIDIA name the 3x3 kernels, and Keras shapes them, as those of groups. folds:
# whether Keras' biases go into the moving means.
Origin = collections.namedtuple('Origin', ['name', 'unit', 'grouped', 'folds'])
_SIZES = ('num_units', 'depths', 'root_multiplier', 'zero_last_gamma')  # do not change which origin a layout has
_WIDTHS = _SIZES + ('cardinality', 'group_width', 'se_ratio')
# An origin, a layout of it, and the columns in which others of it may differ.
_ROWS = [
    (Origin('keras', 'bottleneck_v1', False, False), resnet_keras.resnet_keras_50.layout, _SIZES),
    (Origin('keras', 'bottleneck_v1', True, False), resnet_keras.resnext_keras_50_32x4d.layout, _SIZES),
    (Origin('keras', 'bottleneck_v2', False, False), resnet_keras.resnet_keras_v2_50.layout, _SIZES),
    (Origin('keras', 'bottleneck_v1', False, True), resnet_v1.resnet_v1_50.layout, _SIZES),
    (Origin('torch', 'bottleneck_v1', False, False), resnet_v15.LAYOUT, _WIDTHS),
    (Origin('torch', 'bottleneck_v1', False, False), resnext.resnext_50_32x4d.layout, _WIDTHS),
    (Origin('torch', 'lite_bottleneck_v1', False, False), resnet_v15.resnet_v15_18.layout, _SIZES),
    (Origin('nvidia', 'bottleneck_v1', False, False), resnet_nvidia.resnet_nvidia_50.layout,
     _SIZES + ('group_width', 'se_ratio')),
    (Origin('nvidia', 'bottleneck_v1', True, False), resnet_nvidia.resnext_nvidia_101_32x4d.layout, _WIDTHS),
    (Origin('nvidia_2019', 'bottleneck_v1', False, False), resnet_nvidia.resnet_nvidia_50_2019.layout, _SIZES),
]
# By the name of an origin: what it is called, and functions of an origin and of a name of its own, which return our
# name or None; of our name, which return its own; and of both names and an array, which return ours.
_Maps = collections.namedtuple('_Maps', ['title', 'slim_name', 'name', 'to_slim'])
_MAPS = {
    'keras': _Maps(
        'Keras Applications', lambda origin, name: keras_names.slim_name(name, _kind(origin)),
        lambda origin, ours: keras_names.keras_name(ours, _kind(origin)),
        lambda origin, name, ours, array: keras_names.to_slim({name: array}, _kind(origin))[ours]),
    'torch': _Maps(
        'torchvision and timm', lambda origin, name: torch_names.slim_name(name, origin.unit),
        lambda origin, ours: torch_names.torch_name(ours),
        lambda origin, name, ours, array: torch_names.to_slim(name, array)),
    'nvidia': _Maps(
        "NVIDIA's ConvNets", lambda origin, name: nvidia_names.slim_name(name, origin.name),
        lambda origin, ours: nvidia_names.nvidia_name(ours, origin.name, origin.grouped),
        lambda origin, name, ours, array: nvidia_names.to_slim(ours, array)),
}
_MAPS['nvidia_2019'] = _MAPS['nvidia']._replace(title="NVIDIA's RN50v1.5 of 2019")
_SHOWN = 20
_QUANTISED = ('quantisation-aware training, which rounds weights and activations as this network does not. Convert the '
              'checkpoint that it started from.')
_FLOATS = ('float32', 'float64', 'float16', 'bfloat16')


def origin_of(network):
    """The origin whose weights fill a network, an `Origin`; None if there is none."""
    layout = getattr(nets_factory.NETWORKS[network].builder, 'layout', None)
    for origin, row, free in _ROWS:
        if layout and layout == row._replace(**{column: getattr(layout, column) for column in free}):
            return origin
    return None


def check_origin(network, name):
    """The origin of a network, which has to be the one named.

    Raises:
        ValueError: It is another one, or there is none; the message says which networks it could be.
    """
    origin = origin_of(network)
    if origin is None or origin.name != name:
        fitting = [other for other in nets_factory.NETWORKS if (origin_of(other) or (None,))[0] == name]
        raise ValueError('The weights of {} are not those of {}, which computes something else with weights of the '
                         'same shapes, or has others. The networks for them are {}.'.format(
                             _MAPS[name].title, network, ', '.join(fitting)))
    return origin


class Fit:
    """Arrays of an origin under our names, and what is wrong with them.

    Attributes:
        variables: Ordered dict from name below the network's scope to float32 array.
        converted: Names, in the origin, of the arrays that had another type of float.
    """

    def __init__(self, arrays, origin):
        self.variables, self.converted = collections.OrderedDict(), []
        self._origin, self._unexpected, self._wrong = origin, [], []
        for name, array in arrays.items():
            ours = _slim_name(name, origin)
            if name.endswith('num_batches_tracked') and origin.name == 'torch':
                continue  # torch's counters of steps are no weights
            if ours is None or ours in self.variables:
                self._unexpected.append(name)
            elif array.dtype.name not in _FLOATS:
                self._wrong.append((ours, f'{name}: {array.dtype.name}, which is no type of weights'))
            else:
                self._add(name, ours, array)

    def num_classes(self):
        """Number of logits; 0 if there are none."""
        weights = self.variables.get('logits/weights')
        return 0 if weights is None else weights.shape[-1]

    def check(self, expected, path, network):
        """Compares with the variables of a network.

        Args:
            expected: Dict from name below the network's scope to shape.
            path: Where the arrays come from, for the error.
            network: The network's name, for the error.

        Raises:
            ValueError: Something is missing, unexpected or of another shape; the message lists all of it.
        """
        wrong = dict(self._wrong)
        missing = ['{} ({})'.format(name, origin_name(name, self._origin)) for name in expected
                   if name not in self.variables and name not in wrong]
        unexpected = self._unexpected + ['{} ({})'.format(origin_name(name, self._origin), name)
                                         for name in self.variables if name not in expected]
        texts = list(wrong.values()) + [
            '{} ({}): {} in the file, {} in the network'.format(
                origin_name(name, self._origin), name, list(array.shape), list(expected[name]))
            for name, array in self.variables.items() if name in expected and array.shape != tuple(expected[name])]
        if missing or unexpected or texts:
            summary = (f'{path} does not fit {network}: {len(missing)} missing, {len(unexpected)} unexpected, '
                       f'{len(texts)} of another shape or type (shapes in our order of axes).')
            cause = (_QUANTISED if nvidia_names.is_quantised(unexpected) else
                     f'another network; `nets inspect {path}` tells which it fits.')
            raise ValueError('\n'.join(
                [summary] + _listed('Missing in the file', missing) + _listed('Unexpected', unexpected) +
                _listed('Of another shape or type', texts) + ['Likely cause: ' + cause]))

    def _add(self, name, ours, array):
        if array.dtype.name != 'float32':
            self.converted.append(name)
            array = array.astype('float32')
        try:
            self.variables[ours] = _MAPS[self._origin.name].to_slim(self._origin, name, ours, array)
        except ValueError as error:
            self._wrong.append((ours, str(error).rstrip('.')))


def origin_name(name, origin):
    """The origin's name of one of our variables below the network's scope."""
    try:
        return _MAPS[origin.name].name(origin, name)
    except ValueError:
        return 'no name of its own'


def to_origin(variables, origin):
    """Our variables under the names and in the shapes of Keras or torch; the inverse of `Fit.variables`.

    Args:
        variables: Dict from name below the network's scope to array.
        origin: `Origin` of one of the two.

    Returns:
        An ordered dict.
    """
    if origin.name == 'torch':
        return torch_names.to_state_dict(variables)
    return keras_names.to_keras(variables, _kind(origin))


def _listed(title, entries):
    """Lines for a list of entries, cut after 20."""
    more = [f'  … and {len(entries) - _SHOWN} more'] if len(entries) > _SHOWN else []
    return [f'{title} ({len(entries)}):'] + ['  ' + entry for entry in entries[:_SHOWN]] + more if entries else []


def _kind(origin):
    return keras_names.Kind(origin.unit, origin.grouped)


def _slim_name(name, origin):
    """Our name of an array of an origin, or None."""
    try:
        return _MAPS[origin.name].slim_name(origin, name)
    except ValueError:
        return None
