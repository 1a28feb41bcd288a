"""`nets export`: a network with its weights as a file for another program."""

import sys

from nets.cli import common

DESCRIPTION = ('Writes a network with its weights as a SavedModel, a frozen graph, ONNX or TensorFlow Lite: batch norm '
               'folded into the convolutions, any batch size. The file is run and compared with the network before it '
               'is kept.')


def add_arguments(parser):
    """Adds the arguments of the command to a parser."""
    parser.add_argument('--network', metavar='NAME',
                        help='such as resnet_v1_50; by default that of the preset beside the checkpoint')
    parser.add_argument('--checkpoint', required=True, metavar='PATH',
                        help='prefix of a checkpoint, or a directory with one')
    parser.add_argument('--output', required=True, metavar='PATH',
                        help='what to write: FILE.pb, FILE.onnx, FILE.tflite, or the directory of a SavedModel')
    parser.add_argument('--format', choices=('saved_model', 'frozen_graph', 'onnx', 'tflite'),
                        help='the format; by default the one that the ending of the output means')
    parser.add_argument('--end_point', nargs='+', action='extend', metavar='NAME',
                        help='end points of the network; predictions, or else global_pool, unless given')
    parser.add_argument('--num_classes', type=int, metavar='N', help='number of logits; by default the checkpoint\'s')
    parser.add_argument('--image_size', type=int, metavar='PIXELS',
                        help='height and width; by default that of the weights\' preset')
    parser.add_argument('--preprocessing', metavar='NAME',
                        help='what a SavedModel does to encoded images; by default that of the weights\' preset')
    parser.add_argument('--dynamic_size', action='store_true', help='take images of any size')
    parser.add_argument('--dense', action='store_true',
                        help='a map in place of one result for an image; takes images of any size')
    parser.add_argument('--output_stride', type=int, metavar='N', help='pixels of an image for one of the map')
    parser.add_argument('--moving_averages', action='store_true', help='use the moving averages of the weights')
    common.add_rename_argument(parser)
    parser.add_argument('--force', action='store_true', help='replace an output that exists')


def run(arguments):
    """Runs the command; see `nets.cli.main`."""
    common.load_tensorflow()
    from nets.inference import export
    result = export.export(
        arguments.network, arguments.checkpoint, arguments.output, arguments.format, arguments.end_point,
        arguments.num_classes, arguments.image_size, arguments.preprocessing, arguments.dynamic_size, arguments.force,
        arguments.moving_averages, renames=arguments.rename, global_pool=not arguments.dense,
        output_stride=arguments.output_stride)
    print('{path}: {size:,} bytes, {format}; off by {error:.1e} of the largest value.'.format(**result),
          file=sys.stderr)
    for kind in ('inputs', 'outputs'):
        for name, its in result[kind].items():
            print(f'{kind[:-1]} {name}: {its}', file=sys.stderr)
    return result
