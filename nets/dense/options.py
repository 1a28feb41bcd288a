"""The options of heads: what they mean, which values they take, and how they are written on a command line."""

import numbers
import operator
import typing

from nets.dense.heads import HEADS


class Kind(typing.NamedTuple):
    """The values that an option takes."""

    description: str
    check: typing.Callable  # value -> bool
    parse: typing.Callable  # text -> value; ValueError where it cannot


def is_whole(value):
    """Whether a value is a whole number from 1."""
    try:
        return not isinstance(value, bool) and operator.index(value) > 0
    except TypeError:
        return False


def _is_wholes(value):
    return not isinstance(value, str) and hasattr(value, '__len__') and all(map(is_whole, value))


def _is_share(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 < value <= 1


def _parse_wholes(text):
    return tuple(int(number) for number in text.split(',') if number.strip())


def _parse_size(text):
    numbers_ = _parse_wholes(text)
    return numbers_[0] if len(numbers_) == 1 else numbers_


def _parse_flag(text):
    return {'true': True, 'yes': True, '1': True, 'false': False, 'no': False, '0': False}.get(text.lower(), text)


_WHOLE = Kind('a whole number from 1', is_whole, int)
_WHOLES = Kind('whole numbers from 1', _is_wholes, _parse_wholes)
_SOME = Kind('whole numbers from 1, one at least', lambda value: _is_wholes(value) and len(value) > 0, _parse_wholes)
_STRIDES = Kind('a whole number from 1, or several', lambda value: is_whole(value) or _SOME.check(value), _parse_size)
_SIZE = Kind('a whole number from 1, or two',
             lambda value: is_whole(value) or (_is_wholes(value) and len(value) == 2), _parse_size)
_FLAG = Kind('true or false', lambda value: isinstance(value, bool), _parse_flag)
_SHARE = Kind('a number above 0, at most 1', _is_share, float)


class Option(typing.NamedTuple):
    """A row of `OPTIONS`."""

    kind: Kind
    help: str


OPTIONS = {
    'stride': Option(_WHOLE, 'stride of the finest features that are scored; none for 8, or the output stride where '
                             'that is less'),
    'atrous_rates': Option(_WHOLES, 'rates of the 3x3 convolutions; none for those of the paper, brought to the '
                                    'output stride'),
    'depth': Option(_WHOLE, 'channels of the convolutions'),
    'separable_conv': Option(_FLAG, 'whether 3x3 convolutions are depthwise and then pointwise ones'),
    'image_pooling': Option(_FLAG, 'whether the mean of the map is a branch'),
    'image_pooling_crop_size': Option(_SIZE, 'size of the part of an image, in pixels, or height and width, that a '
                                             'mean is taken over; none for the whole image'),
    'image_pooling_stride': Option(_WHOLE, 'stride of the means over parts, in pixels of the map'),
    'keep_prob': Option(_SHARE, 'share of the values that dropout keeps in training'),
    'decoder_output_stride': Option(_STRIDES, "stride of the decoder's finer features, or several, coarsest first"),
    'decoder_depth': Option(_WHOLE, 'channels of the decoder'),
    'projection_depth': Option(_WHOLE, "channels that the decoder's finer features are brought to"),
    'bins': Option(_SOME, 'sizes of the grids of means'),
}


def get_head(name):
    """A head by its name.

    Raises:
        ValueError: There is no head of that name; the message lists those that there are.
    """
    if name not in HEADS:
        raise ValueError('Unknown head {!r}; the heads are {}.'.format(name, ', '.join(HEADS)))
    return HEADS[name]


def check(head, options):
    """Checks the options of a head.

    Args:
        head: Name of the head.
        options: Dict from option to value. One whose default is None may be None.

    Raises:
        ValueError: There is no such head, it has no such option, or the option no such value.
    """
    defaults = get_head(head).options
    for name, value in options.items():
        if name not in defaults:
            raise ValueError('The head {!r} has no option {!r}; its options are {}.'.format(
                head, name, ', '.join('{}={!r}'.format(*item) for item in defaults.items())))
        kind = OPTIONS[name].kind
        if not kind.check(value) and not (value is None and defaults[name] is None):
            raise ValueError('{} must be {}{}; got {!r}.'.format(
                name, kind.description, ', or None' if defaults[name] is None else '', value))


def parse(head, texts):
    """Reads options as they stand on a command line.

    Args:
        head: Name of the head.
        texts: Texts `option=value`: lists with commas, `none` for None, such as `atrous_rates=6,12` or `depth=64`.

    Returns:
        Dict from option to value, checked.

    Raises:
        ValueError: As `check`, or a text is of another form.
    """
    options = {}
    for text in texts:
        name, sign, value = (part.strip() for part in text.partition('='))
        if not sign:
            raise ValueError('A head option must be of the form option=value; got {!r}.'.format(text))
        if name in OPTIONS and value.lower() != 'none':
            try:
                options[name] = OPTIONS[name].kind.parse(value)
            except ValueError:
                options[name] = value
        else:
            options[name] = None
    check(head, options)
    return options
