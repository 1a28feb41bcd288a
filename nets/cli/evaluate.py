"""`eval_image_classifier.py`: slim's flags in; one line of JSON, `eval.json` and a report out."""

import json
import sys

from nets.cli import common
from nets.cli.common import Flag
from nets.cli.flag_table import CPU_FLAG, DATA_FLAGS, EVAL_UNSUPPORTED, MODEL_FLAG, RENAMES_HELP
from nets.training.config import EvalConfig

_USAGE = """Evaluates an image classifier on every example exactly once.

The last line on the standard output is JSON. --eval_dir gets eval.json (the same, and the numbers of each
class), report.html (eval_report.html, if that is the directory of a training run) and TensorBoard summaries."""

_RUN_FLAGS = [
    Flag('checkpoint_path', 'string', 'checkpoint_path', 'Checkpoint, or a directory whose newest one is '
                                                         'taken.'),
    Flag('checkpoint_renames', 'list', 'checkpoint_renames', RENAMES_HELP),
    Flag('eval_dir', 'string', 'eval_dir', 'Directory of the results.'),
    Flag('max_num_batches', 'integer', 'max_num_batches', 'Batches to stop after; by default all.'),
    Flag('moving_average_decay', 'float', 'moving_average_decay',
         'Any value: evaluate the moving averages that the checkpoint holds instead of the raw weights.'),
    Flag('eval_image_size', 'integer', 'data.image_size',
         'Height and width of the images in pixels; by default the network\'s.'),
    Flag('engine', 'string', 'engine',
         'What computes: tensorflow, or onnxruntime where it is installed. tensorflow takes the kernels of oneDNN '
         'unless the environment variable TF_ENABLE_ONEDNN_OPTS says otherwise. (Not in slim.)'),
]

FLAGS = [MODEL_FLAG] + DATA_FLAGS + _RUN_FLAGS + [CPU_FLAG]


def main(argv=None):
    """Runs the command.

    Args:
        argv: The command line with the program's name; None for that of the process.

    Returns:
        The exit code; see `nets.cli.common`.
    """
    return common.run(argv, EvalConfig(), FLAGS, EVAL_UNSUPPORTED, _USAGE, _evaluate)


def _evaluate(config):
    """Evaluates and prints the summary."""
    common.prefer_onednn()
    common.load_tensorflow()
    from nets.training import evaluation
    summary = evaluation.evaluate(config).summary
    for name in ('top_1', 'top_5'):
        print(f'{name}: {summary[name] * 100:.2f} %', file=sys.stderr)
    print(f'Report: {summary["report"]}', file=sys.stderr)
    print(json.dumps(summary), flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
