"""Scopes that differ between a checkpoint and a model: given ones, and those that can be told from the names.

Pure text, so that it can be tested without TensorFlow. A rename is a pair: the scope in the checkpoint, and the scope
in the model. Either may be empty: `('FeatureExtractor', '')` reads `FeatureExtractor/resnet_v1_50/conv1/weights` into
`resnet_v1_50/conv1/weights`.
"""

import collections
import difflib


def parse(renames):
    """Renames as pairs.

    Args:
        renames: A dict from the scope in the checkpoint to the scope in the model, or a list of texts such as
            'FeatureExtractor/resnet_v1_50=resnet_v1_50'; slashes and blanks around the scopes do not matter.

    Returns:
        A list of pairs.

    Raises:
        ValueError: A text has not exactly one '=', or a scope is renamed twice or to itself.
    """
    if hasattr(renames, 'items'):
        pairs = list(renames.items())
    else:
        renames = [renames] if isinstance(renames, str) else list(renames)
        for text in renames:
            if text.count('=') != 1:
                raise ValueError(f'A rename is "scope in the checkpoint=scope in the model", such as '
                                 f'"FeatureExtractor/resnet_v1_50=resnet_v1_50"; got {text!r}.')
        pairs = [text.split('=') for text in renames]
    pairs = [(old.strip().strip('/'), new.strip().strip('/')) for old, new in pairs]
    for old, new in pairs:
        if old == new or sum(old == other for other, _ in pairs) > 1:
            raise ValueError(f'Each scope can be renamed once, and to another one; got {_show(pairs)}.')
    return pairs


def apply(pairs, names):
    """The names of a checkpoint as the model has them.

    Args:
        pairs: List of pairs as of `parse`; where several fit a name, the longest scope is taken.
        names: Names in the checkpoint.

    Returns:
        An ordered dict from the new name to the name in the checkpoint. A name that gets into the way of a renamed one
        is left out.

    Raises:
        ValueError: A rename matches no name, or two names become one.
    """
    renamed, untouched, used = collections.OrderedDict(), [], set()
    for name in names:
        fitting = [pair for pair in pairs if _inside(name, pair[0])]
        if not fitting:
            untouched.append(name)
            continue
        used.update(fitting)
        old, new = max(fitting, key=lambda pair: len(pair[0]))
        target = _join(new, name[len(old):].lstrip('/'))
        if target in renamed:
            raise ValueError(f'The renames {_show(pairs)} make one name, {target!r}, of {renamed[target]!r} and '
                             f'{name!r}.')
        renamed[target] = name
    for pair in pairs:
        if pair not in used:
            raise ValueError(_no_match(pair, names))
    for name in untouched:
        renamed.setdefault(name, name)
    return renamed


def find(wanted, held, ending=''):
    """Renames that bring a checkpoint's names nearer to a model's: scopes around the one or around the other.

    A scope is never replaced by another one, as that could be the network's, and other networks may have the same
    variables and compute something else with them.

    Args:
        wanted: Names of the variables.
        held: Names in the checkpoint.
        ending: What may follow a variable's name in the checkpoint, besides nothing.

    Returns:
        A list of pairs; those that hold most of the variables come first. None holds nothing.
    """
    wanted, found = list(wanted), collections.Counter()
    ends = collections.defaultdict(list)  # by the last two components, as many names are looked up
    for name in held:
        plain = name[:-len(ending)] if ending and name.endswith(ending) else name
        ends[_end(plain)].append(plain)
    for new in _outer_scopes(wanted):
        for name in wanted:
            rest = name[len(new):]
            olds = {other[:-len(rest)] for other in ends[_end(rest)] if other == rest or other.endswith('/' + rest)}
            found.update((old.rstrip('/'), new.rstrip('/')) for old in olds if bool(old) != bool(new))
    return sorted(found, key=lambda pair: (-found[pair], pair))


def _outer_scopes(names):
    """What may be taken away from all names: '' and every scope around the innermost one that they share."""
    shared = None
    for name in names:
        parts = name.split('/')[:-1]
        if shared is None:
            shared = parts
        while shared != parts[:len(shared)]:
            shared = shared[:-1]
    return [''] + ['/'.join(shared[:depth]) + '/' for depth in range(1, len(shared or []))]


def _end(name):
    return tuple(name.split('/')[-2:])


def _inside(name, scope):
    return not scope or name == scope or name.startswith(scope + '/')


def _join(scope, name):
    return scope + '/' + name if scope and name else scope or name


def _no_match(pair, names):
    scopes = sorted({'/'.join(name.split('/')[:depth]) for name in names for depth in range(1, name.count('/') + 1)},
                    key=lambda scope: (scope.count('/'), scope))
    alike = [scope for scope in scopes if scope.endswith('/' + pair[0])] or difflib.get_close_matches(pair[0], scopes)
    return ('The rename {} matches nothing in the checkpoint: it holds no scope {!r}. {}: {}.'.format(
        _show([pair]), pair[0], 'Did you mean' if alike else 'There are', ', '.join((alike or scopes)[:20]) or 'none'))


def _show(pairs):
    return ', '.join(repr(old + '=' + new) for old, new in pairs)
