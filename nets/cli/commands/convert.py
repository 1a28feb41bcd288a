"""`nets convert`: weights of Keras, torchvision, timm and NVIDIA into checkpoints of ours, and back to the first."""

import argparse
import json
import sys

from nets.cli import common

DESCRIPTION = ('Converts weights. SRC is a checkpoint of TensorFlow, ours or NVIDIA\'s, or a file of Keras (.h5, '
               '.weights.h5, .keras) or of torchvision and timm (.pth, .pt, .safetensors). DST is the prefix of a '
               'checkpoint, such as resnet_v15_50.ckpt, or a file that ends in .weights.h5 (Keras) or .safetensors '
               '(torchvision, timm). The preset, what images have to be like, is written beside it, as '
               'DST.preset.json.')


def add_arguments(parser):
    """Adds the arguments of the command to a parser."""
    parser.add_argument('source', metavar='SRC', help='file of weights, or prefix or directory of a checkpoint')
    parser.add_argument('destination', metavar='DST', help='prefix of a checkpoint, or a file')
    parser.add_argument('--network', metavar='NAME', help='network that the weights are of, such as resnet_v15_50; may '
                        'be left out to copy a checkpoint as it is into the V2 format')
    parser.add_argument('--source', dest='source_kind', metavar='KIND',
                        help='keras, torchvision, timm, nvidia or slim; by default told by the file')
    parser.add_argument('--ema', action='store_true', help='take the moving averages of a file of torch')
    parser.add_argument('--moving_averages', action='store_true', help='take those of a checkpoint of TensorFlow')
    common.add_rename_argument(parser)
    parser.add_argument('--class_names', metavar='FILE',
                        help='names of the classes, one a line in the order of the logits, or id:name as in labels.txt')
    parser.add_argument('--preset', action='append', default=[], type=_change, metavar='KEY=VALUE',
                        help='value of the preset other than the origin\'s, such as resize_side=235 or '
                        'interpolation=bicubic; may be given repeatedly')
    parser.add_argument('--verify', action='store_true', help='run both sides on random images and compare; needs '
                        'Keras or torch. If it fails, nothing is written')
    parser.add_argument('--force', action='store_true', help='replace what is at DST')


def run(arguments):
    """Runs the command; see `nets.cli.main`."""
    common.load_tensorflow()
    from nets.checkpoints import convert
    from nets.inference import predict
    names = arguments.class_names and predict.read_labels(arguments.class_names)
    result = convert.convert(
        arguments.source, arguments.destination, arguments.network, arguments.source_kind, overwrite=arguments.force,
        ema=arguments.ema, moving_averages=arguments.moving_averages, class_names=names,
        preset_changes=dict(arguments.preset), verify=arguments.verify, renames=arguments.rename)
    _report(result)
    return result


def _change(text):
    """A key and a value of the preset; what is no JSON is text."""
    key, equals, value = text.partition('=')
    if not equals or not key:
        raise argparse.ArgumentTypeError(f'KEY=VALUE is expected, such as resize_side=235; got {text!r}')
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _report(result):
    """Prints what was done, for people."""
    print(f'Wrote {result["num_variables"]} variables ({result["num_classes"]} classes) from {result["source"]} '
          f'({result["source_format"]}) to {result["destination"]}.', file=sys.stderr)
    if result['preset']:
        print(f'The preset is in {result["preset"]}.', file=sys.stderr)
    if result['converted']:
        print(f'{len(result["converted"])} arrays were no float32 and are now.', file=sys.stderr)
    for note in result['notes']:
        print(f'Note: {note}', file=sys.stderr)
    checked = result.get('verification')
    if checked and 'equal' in checked:
        print(f'Verified: all {checked["equal"]} arrays are equal, bit by bit.', file=sys.stderr)
    elif checked:
        sizes = ', '.join(f'{size} {error:.1e}{"" if size in checked["judged"] else " (not judged)"}'
                          for size, error in checked['sizes'].items())
        for name, error in checked['end_points'].items():
            print(f'  {error:.1e}  {name}', file=sys.stderr)
        print(f'Verified against {checked["with"]}: {len(checked["end_points"])} end points differ by up to '
              f'{checked["worst"]:.1e} of their size (limit {checked["limit"]:.0e}). By image size: {sizes}.',
              file=sys.stderr)
