"""`nets segment train|eval|predict`: a class for every pixel."""

import argparse
import os
import sys

from nets.cli import common, segment_flags, train
from nets.cli.commands import extract
from nets.cli.common import Flag
from nets.cli.flag_table import CPU_FLAG
from nets.segmentation import recipes
from nets.segmentation.config import EvalConfig, InferenceConfig, TrainConfig
from nets.training.distributed import launcher

DESCRIPTION = 'Trains a network that gives a class to every pixel, evaluates it, or runs it on images.'

_INFERENCE_FLAGS = [
    Flag('checkpoint', 'string', 'checkpoint_path',
         'Checkpoint of a run, or a directory whose newest one is taken, such as the --train_dir.'),
    Flag('scales', 'floats', 'scales', 'Factors of the image\'s size; the probabilities that they give are averaged.'),
    Flag('flip', 'bool', 'flip', 'Whether the mirrored image is averaged, too.'),
    Flag('tile_size', 'integer', 'tile_size',
         'Pixels of the height and width of tiles, for images that do not fit into memory in one piece.'),
    Flag('moving_average_decay', 'float', 'moving_average_decay', 'Any value: use the moving averages of the weights.'),
    CPU_FLAG,
]
_EVAL_FLAGS = [
    *[flag._replace(target=f'inference.{flag.target}') for flag in _INFERENCE_FLAGS], *segment_flags.DATASET_FLAGS,
    Flag('eval_dir', 'string', 'eval_dir', 'Directory of the results; by default eval/ beside the checkpoint.'),
    Flag('max_num_images', 'integer', 'max_num_images', 'Images to stop after; by default all.'),
]


def add_arguments(parser):
    """Adds the arguments of the command to a parser."""
    commands = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    for name, (summary, add, _) in _ACTIONS.items():
        one = commands.add_parser(name, help=summary, description=f'{summary}.')
        add(one)
        # The command has them as well; what is given there shall not be lost here.
        common.add_output_arguments(one, default=argparse.SUPPRESS)


def run(arguments):
    """Runs the command; see `nets.cli.main`."""
    return _ACTIONS[arguments.action][2](arguments)


def _add_train(parser):
    common.add_flags(parser, TrainConfig(), segment_flags.TRAIN_FLAGS)


def _train(arguments):
    table = segment_flags.TRAIN_FLAGS
    config = common.parse_flags(arguments, TrainConfig(), table, lambda fields, given: train.recipe_settings(
        fields, given, recipes.RECIPES, table))
    clones = config.distributed.num_clones
    if clones > 1:
        command = [sys.executable, '-m', 'nets', 'segment', 'train', *common.given_flags(arguments, table)]
        return {'train_dir': config.train_dir,
                'exit_code': launcher.launch([*command, '--num_clones=1'], clones, not config.clone_on_cpu)}
    code, result = train.train(config, _problem)
    return {'train_dir': config.train_dir, 'step': result.step, 'loss': result.loss,
            'checkpoint_path': result.checkpoint_path, 'skipped': result.skipped,
            'report': os.path.join(config.train_dir, 'report.html'), 'exit_code': code}


def _problem():
    from nets.segmentation import problem
    return problem.PROBLEM


def _add_eval(parser):
    common.add_flags(parser, EvalConfig(), _EVAL_FLAGS)


def _eval(arguments):
    config = common.parse_flags(arguments, EvalConfig(), _EVAL_FLAGS)
    common.prefer_onednn()
    common.load_tensorflow()
    from nets.segmentation import evaluation
    summary = evaluation.evaluate(config).summary
    for key, name in (('mean_iou', 'mean IoU'), ('pixel_accuracy', 'pixel accuracy'),
                      ('boundary_f', 'boundary F-score')):
        shown = '–' if summary[key] is None else f'{summary[key] * 100:.2f} %'
        print(f'{name}: {shown}', file=sys.stderr)
    print(f'Report: {summary["report"]}', file=sys.stderr)
    return summary


def _add_predict(parser):
    common.add_flags(parser, InferenceConfig(), _INFERENCE_FLAGS, bool_values=False)
    parser.add_argument('images', nargs='+', metavar='IMAGE',
                        help='image files, folders, patterns in quotes, lists of paths (.txt) or TFRecord files')
    parser.add_argument('--output', required=True, metavar='DIR',
                        help='folder for NAME.png, class numbers with a palette, and NAME.overlay.png')
    parser.add_argument('--show', nargs='+', action='extend', default=[], metavar='WHAT',
                        choices=('features', 'heatmap'),
                        help='features: NAME.features.png, the first three principal components of an end point over '
                        'the picture; heatmap: NAME.CLASS.heatmap.png, the probability of a class')
    parser.add_argument('--end_point', metavar='NAME', help='end point of --show features; the last before the logits '
                        'unless given')
    parser.add_argument('--class_names', nargs='+', action='extend', default=[], metavar='CLASS',
                        help='classes of --show heatmap; those that are found in an image unless given')
    parser.add_argument('--skip_corrupt', action='store_true',
                        help='exit with 0 although some images cannot be decoded; they have no result either way')


def _predict(arguments):
    config = common.parse_flags(arguments, InferenceConfig(), _INFERENCE_FLAGS)
    common.prefer_onednn()
    common.load_tensorflow()
    from nets.segmentation import prediction
    result = prediction.predict(config, arguments.images, arguments.output, arguments.show, arguments.end_point,
                                arguments.class_names)
    for one in result['images']:
        shares = sorted(one['shares'].items(), key=lambda pair: -pair[1])
        print(f'{one["overlay"]}  ' + ', '.join(f'{name} {share:.1%}' for name, share in shares))
    extract.report_corrupt(result['corrupt'])
    return dict(result, exit_code=int(bool(result['corrupt']) and not arguments.skip_corrupt))


# What the help says, what adds the arguments, and what runs.
_ACTIONS = {
    'train': ('trains; run it again to go on from the newest checkpoint', _add_train, _train),
    'eval': ('evaluates on every image exactly once, and writes a report', _add_eval, _eval),
    'predict': ('writes the classes of the pixels of images, and pictures of what the network sees', _add_predict,
                _predict),
}
