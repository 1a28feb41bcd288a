"""`nets extract`: features of images at named end points of a network, into a file."""

import sys

from nets.cli import common

DESCRIPTION = ('Computes features of images at end points of a network and writes them to a file, in the order of the '
               'images and with their names. A call that was killed goes on when it is repeated.')
_SHOWN = 20


def add_arguments(parser):
    """Adds the arguments of the command to a parser."""
    add_network_arguments(parser)
    parser.add_argument('--end_point', nargs='+', action='extend', metavar='NAME',
                        help='end points of the network; global_pool unless given')
    parser.add_argument('--images', required=True, metavar='DIR|GLOB|LIST|RECORDS',
                        help='a folder, with those in it; a pattern in quotes; a file .txt with one path a line; or '
                        'TFRecord files of slim\'s schema')
    parser.add_argument('--output', required=True, metavar='FILE',
                        help='file to write: .npy (one end point; the names are in FILE.names.txt), .npz, .h5, '
                        '.hdf5, .tfrecord, or .parquet')
    parser.add_argument('--spatial_average', action='store_true', help='average maps over height and width')
    parser.add_argument('--dtype', choices=('float32', 'float16'), default='float32', help='type of the numbers stored')
    parser.add_argument('--skip_corrupt', action='store_true',
                        help='exit with 0 although some images cannot be decoded; they have no row either way')
    parser.add_argument('--overwrite', action='store_true',
                        help='replace an output that exists, and drop the rows of an unfinished call with other '
                        'arguments')


def add_network_arguments(parser):
    """Adds the arguments that say which network runs, and how images are prepared for it."""
    parser.add_argument('--network', metavar='NAME',
                        help='such as resnet_v1_50; by default that of the preset beside the checkpoint')
    parser.add_argument('--checkpoint', required=True, metavar='PATH',
                        help='prefix of a checkpoint, or a directory with one')
    parser.add_argument('--image_size', type=int, metavar='PIXELS',
                        help='height and width; by default that of the weights\' preset')
    parser.add_argument('--preprocessing', metavar='NAME',
                        help='vgg, inception, torchvision, …; by default that of the weights\' preset')
    parser.add_argument('--moving_averages', action='store_true', help='use the moving averages of the weights')
    common.add_rename_argument(parser)
    parser.add_argument('--batch_size', type=int, default=32, metavar='N', help='images computed at a time (32)')
    parser.add_argument('--num_preprocessing_threads', type=int, default=4, metavar='N',
                        help='images decoded at a time (4)')
    parser.add_argument('--engine', choices=('tensorflow', 'onnxruntime'), default='tensorflow',
                        help='what computes; onnxruntime wants to be installed. tensorflow takes the kernels of oneDNN '
                        'unless the environment variable TF_ENABLE_ONEDNN_OPTS says otherwise')


def network_options(arguments):
    """The arguments of `add_network_arguments` as those of `FeatureExtractor`."""
    return {'image_size': arguments.image_size, 'preprocessing': arguments.preprocessing,
            'moving_averages': arguments.moving_averages, 'batch_size': arguments.batch_size,
            'num_parallel_calls': arguments.num_preprocessing_threads, 'engine': arguments.engine,
            'renames': arguments.rename}


def run(arguments):
    """Runs the command; see `nets.cli.main`."""
    common.prefer_onednn()
    common.load_tensorflow()
    from nets.inference import extraction
    result = extraction.extract(
        arguments.network, arguments.checkpoint, arguments.images, arguments.output, arguments.overwrite,
        end_points=tuple(arguments.end_point or ['global_pool']), spatial_average=arguments.spatial_average,
        dtype=arguments.dtype, **network_options(arguments))
    shapes = ', '.join(f'{name} {shape}' for name, shape in result['end_points'].items())
    print(f'Wrote {result["num_rows"]} rows of {shapes} to {result["output"]} '
          f'({result["images_per_second"]:.1f} images/s).', file=sys.stderr)
    report_corrupt(result['corrupt'])
    return dict(result, exit_code=int(bool(result['corrupt']) and not arguments.skip_corrupt))


def report_corrupt(corrupt):
    """Prints which images could not be decoded, and why.

    Args:
        corrupt: list of `[name, reason]`.
    """
    if corrupt:
        print(f'{len(corrupt)} images could not be decoded:', file=sys.stderr)
    for name, reason in corrupt[:_SHOWN]:
        print(f'  {name}: {reason}', file=sys.stderr)
    if len(corrupt) > _SHOWN:
        print(f'  and {len(corrupt) - _SHOWN} more; --json lists all of them', file=sys.stderr)
