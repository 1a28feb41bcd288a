"""`nets predict`: the likeliest classes of images, and where the network sees them."""

from nets.cli import common
from nets.cli.commands import extract

DESCRIPTION = 'Names the likeliest classes of images; with --heatmap it draws what speaks for the likeliest one.'


def add_arguments(parser):
    """Adds the arguments of the command to a parser."""
    extract.add_network_arguments(parser)
    parser.add_argument('images', nargs='+', metavar='IMAGE', help='image files')
    parser.add_argument('--top', type=int, default=5, metavar='N', help='classes of each image (5)')
    parser.add_argument('--labels', metavar='FILE',
                        help='names of the classes, a line ID:NAME or NAME each; by default those of the preset beside '
                        'the checkpoint, or else numbers')
    parser.add_argument('--heatmap', metavar='DIR',
                        help='folder for the class activation map of the likeliest class over each picture, as '
                        'NAME.heatmap.png')


def run(arguments):
    """Runs the command; see `nets.cli.main`."""
    common.prefer_onednn()
    common.load_tensorflow()
    from nets.inference import predict
    result = predict.predict(arguments.network, arguments.checkpoint, arguments.images, arguments.top, arguments.labels,
                             arguments.heatmap, **extract.network_options(arguments))
    for one in result['images']:
        print(one['image'] + (f'  ({one["heatmap"]})' if one['heatmap'] else ''))
        for found in one['predictions']:
            number = '' if found['name'] == str(found['class']) else f' ({found["class"]})'
            print(f'  {found["probability"]:7.2%}  {found["name"]}{number}')
    extract.report_corrupt(result['corrupt'])
    return dict(result, exit_code=int(bool(result['corrupt'])))
