"""Words for a checkpoint that does not fit: what differs, the likely cause, and what to do about it.

Pure text from names and shapes, so that it can be tested without TensorFlow.
"""

_SHOWN = 20

# Who is advised: the scripts that train and evaluate, or the commands of `nets`, which have other flags.
SCRIPTS, COMMANDS = 'scripts', 'commands'
_FLAGS = {SCRIPTS: {'network': '--model_name', 'rename': '--checkpoint_renames', 'averages': '--moving_average_decay'},
          COMMANDS: {'network': '--network', 'rename': '--rename', 'averages': '--moving_averages'}}


def describe(path, names, held, missing, misshaped, unused, renames=(), user=SCRIPTS):
    """Describes how a checkpoint differs from the variables it should fill.

    Args:
        path: Where the checkpoint is.
        names: Names of all variables of the model.
        held: Sorted names of all tensors of the checkpoint.
        missing: Names that were looked for and are not in the checkpoint.
        misshaped: Tuples (name, (shape, type) in the checkpoint, (shape, type) of the variable).
        unused: Names in the checkpoint that no variable takes; told as information.
        renames: Pairs of a scope in the checkpoint and what it was read as; the other names are with these.
        user: `SCRIPTS` or `COMMANDS`.

    Returns:
        A text of several lines: a summary, the lists (20 entries of each, and the count), then the advice.
    """
    lines = [f'The checkpoint {path} does not fit the model: {len(missing)} missing, '
             f'{len(misshaped)} of another shape or type.']
    lines += [f'Scopes of the checkpoint were renamed: {show_renames(renames)}.'] if renames else []
    lines += listed('Missing in the checkpoint', missing)
    lines += listed('Of another shape or type', [
        f'{name}: {_show(*theirs)} in the checkpoint, {_show(*ours)} in the model'
        for name, theirs, ours in misshaped])
    lines += listed('In the checkpoint and not used (this alone is no error)', unused)
    facts = _Facts(names, held, missing, misshaped, renames)
    found = [(cause, advice) for applies, cause, advice in _CAUSES if applies(facts)][:2] or [_NO_CAUSE]
    words = dict(facts.words(), **_FLAGS[user])
    lines += ['Likely cause: ' + '{} {}'.format(cause, advice[user]).format(**words) for cause, advice in found]
    return '\n'.join(lines)


def describe_choice(choices, user=SCRIPTS):
    """Describes a checkpoint that holds all that is wanted in several scopes: `choices` are lists of renames."""
    return ('The checkpoint holds all variables {} times, in other scopes than the model. Choose by {}, such as {}.'
            .format(len(choices), _FLAGS[user]['rename'],
                    ', '.join(show_renames(renames) for renames in choices[:_SHOWN])))


def show_renames(renames):
    """Renames as they are written, each as 'old=new'."""
    return ', '.join('{!r}'.format(old + '=' + new) for old, new in renames)


def describe_scope(flag, scope, names):
    """Describes a scope that matches no variable.

    Args:
        flag: The name of the flag that it came from.
        scope: The scope.
        names: Names of the variables that it was compared with.

    Returns:
        One line that names scopes which do exist, the likeliest first.
    """
    scopes = {'/'.join(name.split('/')[:depth]) for name in names for depth in range(1, name.count('/') + 1)}
    known = sorted(scopes, key=lambda known: (known.count('/'), known))
    last = scope.rsplit('/', 1)[-1]
    alike = [name for name in known if name.endswith('/' + last)] or [name for name in known if last in name]
    return ('--{} names {!r}, which matches no variable. A scope is a full name from the root and matches '
            'whole components. {}: {}.'.format(flag, scope, 'Did you mean' if alike else 'There are',
                                         ', '.join((alike or known)[:_SHOWN])))


class _Facts:
    """What the causes below are decided on."""

    def __init__(self, names, held, missing, misshaped, renames):
        self.names, self.held, self.missing, self.renames = names, held, missing, renames
        self.misshaped = [name for name, _, _ in misshaped]
        self.roots = _roots(names)
        self.held_roots = _roots(held)
        self.deeper = _prefix_of(missing, held)
        self.classes = [(theirs[0][-1], ours[0][-1]) for name, theirs, ours in misshaped
                        if _is_logits(name) and theirs[0] and ours[0]][:1]
        self.channels = [(theirs[0][2], ours[0][2], name.rsplit('/', 1)[0]) for name, theirs, ours in misshaped
                         if _is_first_convolution(name) and len(theirs[0] or ()) == 4 and theirs[0][2] != ours[0][2]]

    def words(self):
        """What the texts below may speak of."""
        theirs, ours = self.classes[0] if self.classes else ('?', '?')
        logits = sorted({_logits_scope(name) for name in self.names if _is_logits(name)})
        their_channels, our_channels, first = (self.channels or [('?', '?', '?')])[0]
        return {'roots': ', '.join(self.roots), 'held_roots': ', '.join(self.held_roots) or 'nothing',
                'deeper': self.deeper, 'deeper_scope': self.deeper.rstrip('/'),
                'offset': _offset(theirs, ours), 'theirs': theirs, 'ours': ours, 'logits': ','.join(logits),
                'their_channels': their_channels, 'our_channels': our_channels, 'first': first}

    def renamed_in_vain(self):
        return bool(self.renames) and not self.misshaped and not set(self.names) & set(self.held)

    def of_nvidia(self):
        return any('/btlnck_block_' in '/' + name for name in self.held)

    def none_of_the_root(self):
        return bool(self.missing) and not set(self.roots) & set(self.held_roots) and not self.of_nvidia()

    def only_logits_misshaped(self):
        return bool(self.misshaped) and all(_is_logits(name) for name in self.misshaped)

    def only_logits_missing(self):
        return bool(self.missing) and all(_is_logits(name) for name in self.missing)

    def other_root(self):
        """Whether one side has the root of three small convolutions and the other that of a large one."""
        beta, held_beta = (any(name.endswith('/conv1_1/weights') for name in names)
                           for names in (self.names, self.held))
        return beta != held_beta and any(_is_first_convolution(name) for name in self.missing)

    def averages_missing(self):
        return any(name.endswith('/ExponentialMovingAverage') for name in self.missing)

    def biases_for_batch_norm(self):
        extra = set(self.held) - set(self.names)
        return any(name.split('/BatchNorm/')[0] + '/biases' in extra for name in self.missing if '/BatchNorm/' in name)

    def training_state_missing(self):
        slots = {name for name in self.missing if not name.endswith('/ExponentialMovingAverage')
                 and name.rsplit('/', 1)[0] in set(self.held)}
        return bool(slots)


def _both(text):
    return {SCRIPTS: text, COMMANDS: text}


# A cause, and what to do about it.
_NO_CAUSE = ('the checkpoint is of another network than {network} says, or of another version of it.', {
    SCRIPTS: 'To fill what fits and leave the rest as initialized, name the rest in --checkpoint_exclude_scopes, or '
             'allow missing variables by --ignore_missing_vars.',
    COMMANDS: '`nets inspect` tells which networks it fits.'})

# In order of how telling they are; the first two that apply are shown.
_CAUSES = (
    (_Facts.renamed_in_vain,
     'the renamed scopes are not those of the model.', _both('Change {rename}.')),
    (lambda facts: bool(facts.deeper),
     'the names lie below {deeper!r} in the checkpoint.', _both('Add {rename}={deeper_scope}=')),
    (_Facts.of_nvidia,
     "the names are those of NVIDIA's networks for TensorFlow 1.",
     _both('Convert it by nets convert SRC DST --network=resnet_nvidia_50 or another of NVIDIA\'s.')),
    (_Facts.none_of_the_root,
     'another network; the model has {roots} and the checkpoint holds {held_roots}.', _both('Change {network}.')),
    (_Facts.other_root,
     'another root block, one 7x7 convolution (conv1) on one side and three 3x3 (conv1_1 to conv1_3) on the other.',
     _both('Use the network of the same depth with "_beta" at the end of its name, or without.')),
    (lambda facts: bool(facts.channels),
     'images of another number of channels: {their_channels} in the checkpoint, {our_channels} in the model.', {
         SCRIPTS: 'Feed images of {their_channels} channels; to train the first convolution anew, add '
                  '--checkpoint_exclude_scopes={first}',
         COMMANDS: 'Feed images of {their_channels} channels.'}),
    (_Facts.averages_missing,
     'the checkpoint holds no moving averages.', _both('Leave {averages} out to read the raw weights.')),
    (_Facts.only_logits_misshaped,
     'another number of classes: {theirs} in the checkpoint, {ours} in the model.{offset}', {
         SCRIPTS: 'To evaluate, use the dataset that it was trained on and --labels_offset (1 drops the background '
                  'class). To fine-tune, name this checkpoint in --checkpoint_path, another --train_dir than its own, '
                  'and add --checkpoint_exclude_scopes={logits}',
         COMMANDS: 'Leave --num_classes out to get as many as there are.'}),
    (_Facts.only_logits_missing,
     'the checkpoint has no classifier, or one of another name.', {
         SCRIPTS: 'To train a new one, add --checkpoint_exclude_scopes={logits}',
         COMMANDS: 'Leave --num_classes out to go without, or name its scope: {rename}=OLD={logits}'}),
    (_Facts.biases_for_batch_norm,
     'the checkpoint was made without resnet_arg_scope: its convolutions have biases and no batch norm.',
     _both('Build the network the way it was built then.')),
    (_Facts.training_state_missing,
     'the run that wrote it had another --optimizer or --moving_average_decay.',
     _both('Use the same flags, or another --train_dir and this one as --checkpoint_path.')),
)


def _offset(theirs, ours):
    """What one class more on one side most likely means."""
    if '?' in (theirs, ours) or abs(theirs - ours) != 1:
        return ''
    if theirs > ours:
        return (f' The one more is the background at 0, with which slim trained its v2 networks: label offset 1. Use '
                f'num_classes={theirs}, and number its classes from 1.')
    return (f' The model has a background class at 0 (label offset 1) and the checkpoint has none (offset 0): use '
            f'num_classes={theirs}.')


def _is_logits(name):
    """Whether a variable belongs to the classifier."""
    return '/logits/' in '/' + name


def _is_first_convolution(name):
    """Whether a variable is the weights of a network's first convolution."""
    return name.endswith(('/conv1/weights', '/conv1_1/weights')) and '/block' not in name


def _logits_scope(name):
    """The scope of the classifier that a variable, or a slot of one, belongs to."""
    parts = name.split('/')
    return '/'.join(parts[:parts.index('logits') + 1])


def _roots(names):
    """The first components of names, sorted, without names that have one component only."""
    return sorted({name.split('/', 1)[0] for name in names if '/' in name})


def _prefix_of(missing, held):
    """The scope below which the checkpoint holds what is missing, or an empty string."""
    if not missing:
        return ''
    below = [name[:-len(missing[0])] for name in held if name.endswith('/' + missing[0])]
    held = set(held)
    return next((prefix for prefix in below if all(prefix + name in held for name in missing)), '')


def listed(title, entries):
    """Lines for a list of entries, cut after 20."""
    if not entries:
        return []
    more = [f'  … and {len(entries) - _SHOWN} more'] if len(entries) > _SHOWN else []
    return [f'{title} ({len(entries)}):'] + ['  ' + entry for entry in entries[:_SHOWN]] + more


def _show(shape, dtype):
    """A shape and a type as text."""
    text = 'unknown shape' if shape is None else '[{}]'.format(', '.join(str(size) for size in shape))
    return '{} {}'.format(getattr(dtype, 'name', dtype), text)
