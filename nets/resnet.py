"""Residual networks as rows of a table: one `Layout` says what a network is made of, `network` makes it a function.

    layout = resnet.Layout('basic', num_units=(2, 2, 2, 2), root='small', strided_unit='first', strided_conv='conv1')
    my_resnet = resnet.network('my_resnet', layout, default_image_size=32)
    with slim.arg_scope(my_resnet.arg_scope(weight_decay=5e-4)):
        logits, end_points = my_resnet(images, num_classes=10)
"""

import collections
import functools
import inspect
import numbers
import operator
import typing

import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import layers, resnet_network, resnet_utils, units


def _postnorm(net):
    """What pre-activated units leave to whoever reads their sum."""
    return layers.batch_norm(net, activation_fn=tf.nn.relu, scope='postnorm')


# A unit's function, the scopes of its convolutions that may have the stride, the columns of a layout that it knows, and
# what finishes the last block's result, if anything.
Unit = collections.namedtuple('Unit', ['fn', 'convs', 'columns', 'finish'])
_COLUMNS = ('strided_conv', 'padding', 'shortcut', 'se_ratio', 'zero_last_gamma')
UNITS = {
    'basic': Unit(units.basic, ('conv1', 'conv2'), _COLUMNS, None),
    'bottleneck': Unit(units.bottleneck, ('conv1', 'conv2', 'conv3'), _COLUMNS + ('cardinality', 'group_width'), None),
    'bottleneck_v2': Unit(units.bottleneck_v2, ('conv2',), ('group_width',), _postnorm),
}
_UNIT_COLUMNS = _COLUMNS + ('cardinality',)  # those that units take as arguments


class Layout(typing.NamedTuple):
    """What a residual network is made of. The defaults are slim's ResNet-50 v1.

    Weights fit one layout only. Where the stride sits and how a pool is padded change the function, not the shapes:
    weights of another origin load, and give other features. The first unit of a block has the stride in the paper
    (He et al. 2015, section 3.3), in its first 1x1 convolution there and in Keras, in its 3x3 convolution in
    torchvision ("v1.5"); slim has it in the 3x3 convolution of the last unit, so that a block's features have the
    resolution that the next one reads. At inference slim's and the paper's are the same function.
    """

    unit: str = 'bottleneck'  # a key of UNITS
    num_units: tuple = (3, 4, 6, 3)  # of each block
    depths: tuple = ()  # base depth of each block; 64, 128, 256, 512, … unless given
    strides: tuple = ()  # of each block; 2 each, but 1 for the last (strided_unit 'last') or the first ('first')
    strided_unit: str = 'last'  # the unit of a block that has its stride, 'first' or 'last'
    strided_conv: str = 'conv2'  # and the convolution in that unit
    padding: str = 'explicit'  # of strided convolutions; a key of units.PADDINGS
    shortcut: str = 'projection'  # a key of units.SHORTCUTS
    root: typing.Union[str, resnet_network.Root] = 'slim'  # a key of resnet_network.ROOTS, or a Root
    root_multiplier: float = 1  # factor of the root's depths
    cardinality: int = 1  # groups of the 3x3 convolution
    group_width: int = 64  # channels of a group where the base depth is 64 (torchvision's width_per_group)
    se_ratio: typing.Optional[float] = None  # of squeeze-and-excitation
    zero_last_gamma: bool = False
    conv_biases: bool = False  # besides batch normalisation
    batch_norm_epsilon: float = 1e-5

    def blocks(self, min_base_depth=1, depth_multiplier=1, multi_grid=None):
        """The blocks of the network.

        Args:
          min_base_depth: The least base depth.
          depth_multiplier: Factor of the base depths.
          multi_grid: The `unit_rate` of each unit of the last block, or None.

        Returns:
          A list of `resnet_utils.Block`s.

        Raises:
          ValueError: If a column has a value that it cannot have; the message says which it can.
        """
        self._check(depth_multiplier, multi_grid)
        unit_fn = UNITS[self.unit].fn
        blocks = []
        depths = self.base_depths(min_base_depth, depth_multiplier)
        for i, (num_units, depth, stride) in enumerate(zip(self.num_units, depths, self.block_strides())):
            unit = dict(self._unit_args(unit_fn, depth), stride=1)
            args = [dict(unit) for _ in range(num_units)]
            args[0 if self.strided_unit == 'first' else -1]['stride'] = stride
            blocks.append(resnet_utils.Block('block{}'.format(i + 1), unit_fn, args))
        for unit, rate in zip(blocks[-1].args, [] if multi_grid is None else multi_grid):
            unit['unit_rate'] = rate
        return blocks

    def root_block(self, min_base_depth=1, depth_multiplier=1):
        """The `resnet_network.Root`; the arguments are those of `blocks`."""
        root = resnet_network.ROOTS[self.root] if isinstance(self.root, str) else self.root
        return root.with_depths(self.root_multiplier, self.base_depths(min_base_depth, depth_multiplier)[0])

    def arg_scope_defaults(self):
        """The arguments of `resnet_arg_scope` that belong to the layout."""
        return self._changed(('conv_biases', 'batch_norm_epsilon'))

    def base_depths(self, min_base_depth=1, depth_multiplier=1):
        """The base depth of each block; the arguments are those of `blocks`."""
        depths = list(self.depths) or [64 * 2 ** i for i in range(len(self.num_units))]
        return [max(int(depth * depth_multiplier), min_base_depth) for depth in depths]

    def block_strides(self):
        """The stride of each block."""
        others = (2,) * (len(self.num_units) - 1)
        return tuple(self.strides) or ((1,) + others if self.strided_unit == 'first' else others + (1,))

    def changed(self):
        """The columns that do not have their default, as a dict."""
        return self._changed(self._fields)

    def _changed(self, names):
        columns = {name: getattr(self, name) for name in names}
        return {name: value for name, value in columns.items() if value != self._field_defaults[name]}

    def _unit_args(self, unit_fn, base_depth):
        """The arguments of every unit of a block but its stride; those that are the unit's defaults are left out."""
        args = units.depths(unit_fn, base_depth)
        if 'depth_bottleneck' in args:
            args['depth_bottleneck'] = base_depth * self.group_width // 64 * self.cardinality
            if not args['depth_bottleneck']:
                raise ValueError('group_width={} leaves no channel at a base depth of {}; it counts channels where '
                                 'the base depth is 64.'.format(self.group_width, base_depth))
        return dict(args, **self._changed(_UNIT_COLUMNS))

    def _check(self, depth_multiplier, multi_grid):
        """Checks all columns, and what `blocks` takes besides."""
        for name, allowed in [('unit', UNITS), ('strided_unit', ('first', 'last')), ('padding', units.PADDINGS),
                              ('shortcut', units.SHORTCUTS), ('root', resnet_network.ROOTS)]:
            if name != 'root' or not isinstance(self.root, resnet_network.Root):
                units.choose(name, getattr(self, name), allowed)
        units.choose('strided_conv of the kind {!r}'.format(self.unit), self.strided_conv, UNITS[self.unit].convs)
        num_blocks = len(_whole('num_units', self.num_units, 'one for each block'))
        for name in ('depths', 'strides'):
            _whole(name, getattr(self, name), 'one for each of the {} blocks'.format(num_blocks), {0, num_blocks})
        for name in ('cardinality', 'group_width'):
            _whole(name, [getattr(self, name)])
        for name, value in (('root_multiplier', self.root_multiplier), ('depth_multiplier', depth_multiplier),
                            ('batch_norm_epsilon', self.batch_norm_epsilon)):
            if isinstance(value, bool) or not isinstance(value, numbers.Real) or not value > 0:
                raise ValueError('{} must be a number above 0; got {!r}.'.format(name, value))
        for name, value in self._changed(_UNIT_COLUMNS + ('group_width',)).items():
            if name not in UNITS[self.unit].columns:
                raise ValueError('Units of the kind {!r} have no {}; got {!r}.'.format(self.unit, name, value))
        if multi_grid is not None:
            _whole('multi_grid', multi_grid, 'one for each of the {} units of the last block'.format(
                self.num_units[-1]), {self.num_units[-1]})


def _whole(name, values, what='', lengths=None):
    """The values as a list of ints, if they are whole numbers from 1 and as many as they must be."""
    try:
        result = [0 if isinstance(value, bool) else operator.index(value) for value in values]
    except TypeError:
        result = [0]
    if min(result, default=1) < 1 or (len(result) not in lengths if lengths else not result):
        raise ValueError('{} must be whole numbers from 1{}; got {!r}.'.format(name, what and ', ' + what, values))
    return result


# The parameters of a network after `inputs`, with their defaults. Those of slim's come first, in slim's order, and may
# be given by position.
_PARAMETERS = collections.OrderedDict([
    ('num_classes', None), ('is_training', True), ('global_pool', True), ('output_stride', None),
    ('spatial_squeeze', True), ('store_non_strided_activations', False), ('min_base_depth', 8),
    ('depth_multiplier', 1), ('reuse', None), ('scope', None), ('multi_grid', None)])


def network(name, layout, scope=None, default_image_size=224, order=(), module=None):
    """Makes a network function of a layout.

    Args:
      name: The function's name.
      layout: `Layout`.
      scope: The network's default scope; None for `name`.
      default_image_size: Int, in pixels.
      order: Names of the parameters that come first, where their order is not that of `resnet_v1.resnet_v1_50`.
      module: Name of the module that the function is a member of; None for that of the caller.

    Returns:
      A function with the arguments of `resnet_v1.resnet_v1` less `blocks` and `include_root_block`, and with
      `depth_multiplier`, a factor of the blocks' base depths, `min_base_depth`, the least that it may lead to, and
      `multi_grid`, the `unit_rate` of each unit of the last block. It returns logits or features, and end points. Its
      attributes are `default_image_size`, `layout` and `arg_scope`: `resnet_utils.resnet_arg_scope` with what belongs
      to the layout.

    Raises:
      ValueError: If a column of the layout has a value that it cannot have; the message says which it can.
    """
    layout.blocks()
    defaults = dict(_PARAMETERS, scope=scope or name, min_base_depth=min(8, *layout.base_depths()))
    signature = inspect.Signature([inspect.Parameter('inputs', inspect.Parameter.POSITIONAL_OR_KEYWORD)] + [
        inspect.Parameter(parameter, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=defaults[parameter])
        for parameter in list(order) + [parameter for parameter in _PARAMETERS if parameter not in order]])

    def builder(*args, **kwargs):
        try:
            given = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError('{}(): {}.'.format(name, error)) from None
        given.apply_defaults()
        arguments = dict(given.arguments)
        _check_biases(name, layout)
        depths = [arguments.pop(key) for key in ('min_base_depth', 'depth_multiplier')]
        return resnet_network.build(
            blocks=layout.blocks(*depths, arguments.pop('multi_grid')), root=layout.root_block(*depths),
            finish=UNITS[layout.unit].finish, default_scope=name, **arguments)

    builder.__name__ = builder.__qualname__ = name
    builder.__module__ = module or inspect.currentframe().f_back.f_globals['__name__']
    builder.__doc__ = '{}: a residual network, {}.\n\nFor the arguments see `resnet.network`.'.format(
        name, ', '.join('{}={!r}'.format(*column) for column in layout.changed().items()) or 'of the default layout')
    builder.__signature__ = signature
    builder.default_image_size = default_image_size
    builder.layout = layout
    builder.arg_scope = functools.partial(resnet_utils.resnet_arg_scope, **layout.arg_scope_defaults())
    return builder


def _check_biases(name, layout):
    """Checks that a network whose convolutions have biases beside batch normalisation is to get both."""
    normalizer_fn = layers.scoped_arguments(slim.conv2d).get('normalizer_fn')
    if layout.conv_biases and normalizer_fn in (slim.batch_norm, layers.batch_norm):
        raise ValueError('The convolutions of {0} have biases beside batch normalisation, which this arg scope leaves '
                         'out; build it in slim.arg_scope({0}.arg_scope()).'.format(name))


def resnet(inputs, layer_dims, unit='basic', scope='resnet', **kwargs):
    """A residual network of your own design.

    Args:
      inputs: Images, `[batch, height, width, channels]`.
      layer_dims: Number of units of each block, such as `[2, 2, 2, 2]`.
      unit: Kind of the units, a key of `UNITS`.
      scope: Scope of the network.
      **kwargs: Columns of `Layout`, and arguments of a network such as `num_classes`. Those columns that belong to the
        arg scope, `conv_biases` and `batch_norm_epsilon`, are given to `resnet_utils.resnet_arg_scope`.

    Returns:
      A pair of logits or features, and end points; see `resnet_v1.resnet_v1`.

    Raises:
      ValueError: If a value cannot be.
      TypeError: If there is no such column or argument.
    """
    columns = {name: kwargs.pop(name) for name in Layout._fields if name in kwargs}
    layout = Layout(unit, tuple(_whole('layer_dims', layer_dims, 'one for each block')), **columns)
    if layout.arg_scope_defaults():
        raise TypeError('Give {} to resnet_utils.resnet_arg_scope; got {!r}.'.format(
            ' and '.join(layout.arg_scope_defaults()), layout.arg_scope_defaults()))
    return network('resnet', layout)(inputs, scope=scope, **kwargs)
