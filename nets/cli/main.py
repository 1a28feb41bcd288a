"""The command `nets` (`python -m nets`): one table of commands, each in a module that is imported when it is called.

Exit codes: 0 done, 1 failed (one line says why) or done in part, 2 wrong command line, 130 interrupted.
"""

import argparse
import importlib
import json
import sys

from nets.cli import common

# Command, and what the list of commands says of it. Its module is `nets.cli.commands.<command>`, with `DESCRIPTION`,
# `add_arguments(parser)` and `run(arguments)`, which returns a dict of results, with an `exit_code` if that is not 0.
COMMANDS = {
    'inspect': 'what a file of weights is, holds and fits',
    'convert': 'weights of Keras, torchvision and timm into checkpoints, and back',
    'extract': 'features of images into a file',
    'predict': 'the likeliest classes of images, and where the network sees them',
    'segment': 'a class for every pixel: training, evaluation and prediction',
    'records': 'images into TFRecord files, and the verification of such files',
    'export': 'a network as SavedModel, frozen graph, ONNX or TensorFlow Lite',
}


def main(argv=None):
    """Runs a command.

    Args:
        argv: List of arguments without the program's name; None for those of the process.

    Returns:
        The exit code.
    """
    argv = sys.argv[1:] if argv is None else argv
    if hasattr(sys.stdout, 'reconfigure'):
        sys.stdout.reconfigure(errors='surrogateescape')  # names of files that are no UTF-8
    try:
        arguments = _parser(argv[0] if argv and argv[0] in COMMANDS else None).parse_args(argv)
    except SystemExit as exit_:
        return exit_.code
    return common.guarded(f'nets {arguments.command}', arguments.traceback, lambda: _run(arguments))


def _run(arguments):
    result = _module(arguments.command).run(arguments)
    exit_code = result.pop('exit_code', 0)
    if arguments.json:
        print(json.dumps(result))
    return exit_code


def _module(command):
    return importlib.import_module(f'nets.cli.commands.{command}')


def _parser(called):
    """The parser; only the command that is called gets its arguments, so that no other module is imported."""
    parser = argparse.ArgumentParser(
        prog='nets', description='Residual networks of TensorFlow 1, slim and their relatives.',
        epilog='nets COMMAND --help lists the arguments of a command.')
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for command, summary in COMMANDS.items():
        module = _module(command) if command == called else None
        one = commands.add_parser(command, help=summary, description=module and module.DESCRIPTION)
        if module:
            module.add_arguments(one)
        common.add_output_arguments(one)
    return parser
