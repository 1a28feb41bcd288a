"""What the command lines share: flags from a table, exit codes, quiet and readable output.

Each call parses into flag values of its own, so that nothing is global and two commands can run in one
process. Exit codes: 0 done, 1 failed (one line says why) unless the error has an `exit_code`, 2 wrong command line,
128 + N ended by signal N.
"""

import argparse
import collections
import contextlib
import dataclasses
import logging
import os
import signal
import sys
import tempfile
import traceback

from absl import flags

# name: of the flag. kind: a key of `_DEFINE`. target: field of the configuration that it sets, dotted.
Flag = collections.namedtuple('Flag', ('name', 'kind', 'target', 'help'))

# A flag of slim's scripts that cannot act here: any value but the default is refused with `reason`.
Unsupported = collections.namedtuple('Unsupported', ('name', 'kind', 'default', 'reason'))


class _NumbersParser(flags.ListParser):
    """Numbers of a type, separated by commas."""

    def __init__(self, number):
        super().__init__()
        self._number = number

    def parse(self, argument):
        return [self._number(text) for text in super().parse(argument)]


def _define_numbers(number):
    def define(name, default, help, flag_values):
        flags.DEFINE(_NumbersParser(number), name, default, help, flag_values, flags.CsvListSerializer(','))

    return define


_DEFINE = {'string': flags.DEFINE_string, 'integer': flags.DEFINE_integer, 'float': flags.DEFINE_float,
           'bool': flags.DEFINE_bool, 'list': flags.DEFINE_list, 'floats': _define_numbers(float),
           'integers': _define_numbers(int)}
_LISTS = ('list', 'floats', 'integers')


def run(argv, defaults, table, unsupported, usage, action, fill_in=None):
    """Parses a command line and acts on it.

    Args:
        argv: The command line with the program's name; None for that of the process.
        defaults: A configuration, whose values are the defaults of the flags.
        table: List of `Flag`.
        unsupported: List of `Unsupported`.
        usage: What `--help` begins with.
        action: Function of a configuration that returns the exit code. TensorFlow may be imported in it.
        fill_in: Function of two dicts, from the targets of flags to their values: of all flags, and of those that were
            given. It returns the dict of those to change. None to change nothing.

    Returns:
        The exit code.
    """
    argv = sys.argv if argv is None else argv
    program = os.path.basename(argv[0])
    values = _define(defaults, table, unsupported)
    try:
        rest = values(argv)
        if values.help:
            listed = values.get_help(include_special_flags=False).split('\n', 2)[-1]
            print(f'{usage}\n\nusage: {program} [--flag=value …]\n\n{listed}')
            return 0
        _check_usage(rest, values, unsupported)
    except flags.Error as error:
        print(f'{program}: {error}\nTry {program} --help.', file=sys.stderr)
        return 2
    return guarded(program, values.traceback, lambda: action(_configuration(values, defaults, table, fill_in)))


def add_flags(parser, defaults, table, bool_values=True):
    """Adds the flags of a table to an `argparse` parser, which hands them on to absl's own.

    Args:
        parser: The parser.
        defaults: A configuration, whose values are the defaults of the flags.
        table: List of `Flag`.
        bool_values: Whether bools may be written `--flag=false` as well as `--noflag`. A parser that has arguments
            without names would take those for values.
    """
    for flag in table:
        default = _get(defaults, flag.target)
        shown = ','.join(map(str, default)) if isinstance(default, tuple) else default
        help_ = flag.help.replace('%', '%%') + ('' if shown in (None, '') else f' ({shown})'.lower()
                                                if flag.kind == 'bool' else f' ({shown})')
        kind = {'metavar': flag.kind.upper()}
        if flag.kind == 'bool':
            kind = dict(kind, nargs='?') if bool_values else {'action': 'store_const'}
            kind['const'] = 'true'
        parser.add_argument(f'--{flag.name}', dest=f'flag_{flag.name}', help=help_, **kind)
        if flag.kind == 'bool':
            parser.add_argument(f'--no{flag.name}', dest=f'flag_{flag.name}', action='store_const', const='false',
                                help=argparse.SUPPRESS)


def parse_flags(arguments, defaults, table, fill_in=None):
    """The configuration that the arguments of `add_flags` ask for.

    Args:
        arguments: What the parser returned.
        defaults, table: As of `add_flags`.
        fill_in: See `run`.

    Returns:
        A configuration.

    Raises:
        UsageError: A value is of another kind.
        ValueError: A value is out of range.
    """
    values = _define(defaults, table, ())
    try:
        values(['nets', *given_flags(arguments, table)])
    except flags.Error as error:
        raise UsageError(str(error)) from error
    return _configuration(values, defaults, table, fill_in)


def given_flags(arguments, table):
    """Those of the arguments of `add_flags` that were given, as a list of texts `--name=value`."""
    given = [(flag.name, getattr(arguments, f'flag_{flag.name}')) for flag in table]
    return [f'--{name}={value}' for name, value in given if value is not None]


class UsageError(ValueError):
    """The command line is wrong."""

    exit_code = 2


def add_rename_argument(parser):
    """Adds `--rename`, which may be given repeatedly."""
    parser.add_argument('--rename', action='append', default=[], metavar='OLD=NEW',
                        help='scope of the checkpoint and what it is called in the network, such as '
                        'tower_0/resnet_v1_50=resnet_v1_50; an empty NEW takes OLD away; may be given repeatedly')


def add_output_arguments(parser, default=False):
    """Adds `--json` and `--traceback`, with the value that they have unless they are given."""
    parser.add_argument('--json', action='store_true', default=default,
                        help='print the results as one line of JSON at the end')
    parser.add_argument('--traceback', action='store_true', default=default,
                        help='show where in the program an error arose')


def prefer_onednn():
    """Chooses oneDNN's kernels, unless the user chose; to be called before TensorFlow is imported.

    TensorFlow chooses them by itself on processors with AVX-512 only. Networks whose weights are constants run faster
    with them on AVX2, too; see benchmarks/README.md.
    """
    os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')


def load_tensorflow():
    """Imports TensorFlow and looks for devices, both without their noise, and starts the library's log."""
    with _quiet():
        import tensorflow as tf
        tf.config.list_physical_devices()
    _start_logging()


@contextlib.contextmanager
def _quiet():
    """Holds back what is written to the error stream; an error shows it after all."""
    # Nothing that is not fatal: errors are raised as well, and what is left is noise, such as libjpeg's of images that
    # are skipped.
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except BaseException:
            held_back.seek(0)
            os.write(saved, held_back.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)


def _start_logging():
    """Sends the library's log to the error stream, one plain line per message, around any progress bar."""
    import tensorflow.compat.v1 as tf
    from tqdm import tqdm

    class Handler(logging.Handler):
        def emit(self, record):
            tqdm.write(self.format(record), file=sys.stderr)

    tf.logging.set_verbosity(tf.logging.ERROR)
    logger = logging.getLogger('nets')
    logger.handlers = [Handler()]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def signal_exit_code(number):
    """The exit code of a program that a signal ended, by the shell's convention."""
    return 128 + int(number)


def _define(defaults, table, unsupported):
    """Flag values with everything defined."""
    values = flags.FlagValues()
    for flag in table:
        default = _get(defaults, flag.target)
        default = list(default) if isinstance(default, tuple) else default
        _DEFINE[flag.kind](flag.name, default, flag.help, flag_values=values)
    for flag in unsupported:
        _DEFINE[flag.kind](flag.name, flag.default, f'Not supported: {flag.reason}', flag_values=values)
    flags.DEFINE_bool('traceback', False, 'Show where in the program an error arose.', flag_values=values)
    flags.DEFINE_bool('help', False, 'Show this help.', short_name='h', flag_values=values)
    return values


def _check_usage(rest, values, unsupported):
    """Raises a `flags.Error` for stray arguments and for flags that cannot act."""
    if rest[1:]:
        raise flags.Error(f'unexpected arguments: {" ".join(rest[1:])}. Flags are written --name=value.')
    for flag in unsupported:
        value = values[flag.name].value
        if value != flag.default:
            raise flags.Error(f'--{flag.name}={value} is not supported: {flag.reason}')


def _configuration(values, defaults, table, fill_in=None):
    """The configuration that the flags ask for; raises a ValueError for values out of range."""
    targets = {flag.target: tuple(values[flag.name].value or ()) if flag.kind in _LISTS else
               values[flag.name].value for flag in table}
    if fill_in:
        given = {flag.target: targets[flag.target] for flag in table if values[flag.name].present}
        targets.update(fill_in(targets, given))
    own, parts = {}, collections.defaultdict(dict)
    for target, value in targets.items():
        part, _, field = target.rpartition('.')
        (parts[part] if part else own)[field] = value
    for part, fields in parts.items():
        own[part] = dataclasses.replace(getattr(defaults, part), **fields)
    return dataclasses.replace(defaults, **own)


def guarded(program, show_traceback, call):
    """The call's exit code; an error that speaks to the user becomes one line and 1."""
    try:
        return call()
    except KeyboardInterrupt:
        print(f'{program}: interrupted.', file=sys.stderr)
        return signal_exit_code(signal.SIGINT)
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        if show_traceback:
            traceback.print_exc()
        print(f'{program}: error: {error}', file=sys.stderr)
        return getattr(error, 'exit_code', 1)


def has(config, target):
    """Whether a configuration has a dotted field."""
    try:
        _get(config, target)
    except AttributeError:
        return False
    return True


def _get(config, target):
    """The value of a dotted field."""
    for field in target.split('.'):
        config = getattr(config, field)
    return config
