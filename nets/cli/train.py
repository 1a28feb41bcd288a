"""`train_image_classifier.py`: slim's flags in, a trained network out."""

import sys

from nets.cli import common
from nets.cli.common import Flag
from nets.cli.flag_table import CPU_FLAG, DATA_FLAGS, MODEL_FLAG, RENAMES_HELP, TRAIN_UNSUPPORTED
from nets.training.config import TrainConfig

_USAGE = """Trains an image classifier.

The run lives in --train_dir: checkpoints, TensorBoard summaries, metrics.jsonl. Run the same command again to
go on from its newest checkpoint. Ctrl-C saves and leaves."""

_RUN_FLAGS = [
    Flag('train_dir', 'string', 'train_dir', 'Directory of checkpoints and logs; a run in it is resumed.'),
    Flag('max_number_of_steps', 'integer', 'max_number_of_steps', 'The step to stop at; by default never.'),
    Flag('train_image_size', 'integer', 'data.image_size',
         'Height and width of the images in pixels; by default the network\'s.'),
    Flag('log_every_n_steps', 'integer', 'log_every_n_steps', 'Steps between two lines of the log.'),
    Flag('save_summaries_secs', 'float', 'save_summaries_secs', 'Seconds between two TensorBoard summaries.'),
    Flag('save_interval_secs', 'float', 'save_interval_secs', 'Seconds between two checkpoints.'),
    Flag('seed', 'integer', 'seed',
         'Seed of initial weights, order and augmentation; by default another one each time. (Not in slim.)'),
]

_LEARNING_FLAGS = [
    Flag('weight_decay', 'float', 'weight_decay', 'Factor of the L2 loss on the convolutions\' weights.'),
    Flag('label_smoothing', 'float', 'label_smoothing',
         'Share of the label that is spread over all classes.'),
    Flag('batch_norm_decay', 'float', 'batch_norm_decay',
         'Decay of the moving statistics of batch norm; by default 0.997. Short runs want less: the '
         'statistics need some 5 / (1 - decay) steps. (Not in slim.)'),
    Flag('moving_average_decay', 'float', 'moving_average_decay',
         'Decay of the moving averages of all variables of the network; by default there are none.'),
    Flag('learning_rate', 'float', 'schedule.learning_rate', 'Learning rate to begin with.'),
    Flag('learning_rate_decay_type', 'string', 'schedule.learning_rate_decay_type',
         'How it decays: fixed, exponential or polynomial.'),
    Flag('end_learning_rate', 'float', 'schedule.end_learning_rate', 'Where a polynomial decay ends.'),
    Flag('learning_rate_decay_factor', 'float', 'schedule.learning_rate_decay_factor',
         'What an exponential decay multiplies by.'),
    Flag('num_epochs_per_decay', 'float', 'schedule.num_epochs_per_decay',
         'Epochs between two exponential decays, or until the end of a polynomial one.'),
    Flag('warmup_epochs', 'float', 'schedule.warmup_epochs', 'Epochs over which the rate rises from 0.'),
]

_OPTIMIZER_FLAGS = [
    Flag('optimizer', 'string', 'optimizer.optimizer',
         'One of adadelta, adagrad, adam, ftrl, momentum, rmsprop, sgd.'),
    Flag('adadelta_rho', 'float', 'optimizer.adadelta_rho', 'Decay of adadelta.'),
    Flag('adagrad_initial_accumulator_value', 'float', 'optimizer.adagrad_initial_accumulator_value',
         'Initial accumulators of adagrad.'),
    Flag('adam_beta1', 'float', 'optimizer.adam_beta1', 'Decay of adam\'s first moments.'),
    Flag('adam_beta2', 'float', 'optimizer.adam_beta2', 'Decay of adam\'s second moments.'),
    Flag('opt_epsilon', 'float', 'optimizer.opt_epsilon', 'Epsilon of adadelta, adam and rmsprop.'),
    Flag('ftrl_learning_rate_power', 'float', 'optimizer.ftrl_learning_rate_power', 'Power of ftrl\'s rate.'),
    Flag('ftrl_initial_accumulator_value', 'float', 'optimizer.ftrl_initial_accumulator_value',
         'Initial accumulators of ftrl.'),
    Flag('ftrl_l1', 'float', 'optimizer.ftrl_l1', 'L1 strength of ftrl.'),
    Flag('ftrl_l2', 'float', 'optimizer.ftrl_l2', 'L2 strength of ftrl.'),
    Flag('momentum', 'float', 'optimizer.momentum', 'Momentum of the momentum optimizer.'),
    Flag('rmsprop_momentum', 'float', 'optimizer.rmsprop_momentum', 'Momentum of rmsprop.'),
    Flag('rmsprop_decay', 'float', 'optimizer.rmsprop_decay', 'Decay of rmsprop.'),
]

_FINE_TUNE_FLAGS = [
    Flag('checkpoint_path', 'string', 'fine_tune.checkpoint_path',
         'Checkpoint, or directory of one, with the weights to begin with. Not used if --train_dir holds a '
         'run.'),
    Flag('checkpoint_exclude_scopes', 'list', 'fine_tune.checkpoint_exclude_scopes',
         'Scopes not to restore from it, separated by commas; whole names, such as resnet_v1_50/logits.'),
    Flag('checkpoint_renames', 'list', 'fine_tune.checkpoint_renames', RENAMES_HELP),
    Flag('trainable_scopes', 'list', 'fine_tune.trainable_scopes',
         'Scopes to train, separated by commas; by default all. The rest is frozen, batch norm statistics '
         'included.'),
    Flag('ignore_missing_vars', 'bool', 'fine_tune.ignore_missing_vars',
         'Whether variables that the checkpoint does not hold start at random.'),
]

FLAGS = [MODEL_FLAG, *DATA_FLAGS, *_RUN_FLAGS, *_LEARNING_FLAGS, *_OPTIMIZER_FLAGS, *_FINE_TUNE_FLAGS, CPU_FLAG]


def main(argv=None):
    """Runs the command.

    Args:
        argv: The command line with the program's name; None for that of the process.

    Returns:
        The exit code; see `nets.cli.common`.
    """
    return common.run(argv, TrainConfig(), FLAGS, TRAIN_UNSUPPORTED, _USAGE, _train)


def _train(config):
    """Trains, and says how it ended."""
    common.load_tensorflow()
    from nets.training import loop
    result = loop.train(config)
    if result.stopped_by is not None:
        print(f'Stopped by {result.stopped_by.name} at step {result.step}; saved {result.checkpoint_path}. '
              'Run the same command to go on.', file=sys.stderr)
        return common.signal_exit_code(result.stopped_by)
    loss = '' if result.loss is None else f', loss {result.loss:.4f}'
    print(f'Done at step {result.step}{loss}. Checkpoint: {result.checkpoint_path}', file=sys.stderr)
    return 0


if __name__ == '__main__':
    sys.exit(main())
