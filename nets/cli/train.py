"""`train_image_classifier.py`: slim's flags in, a trained network out."""

import os
import sys

from nets.cli import common
from nets.cli.cluster_flags import CLUSTER_FLAGS
from nets.cli.common import Flag
from nets.cli.flag_table import CPU_FLAG, DATA_FLAGS, MODEL_FLAG, RENAMES_HELP, TRAIN_UNSUPPORTED
from nets.training import recipes
from nets.training.config import TrainConfig
from nets.training.distributed import launcher, tf_config

_USAGE = """Trains an image classifier.

The run lives in --train_dir: checkpoints, TensorBoard summaries, metrics.jsonl, report.html. Run the same command
again to go on from its newest checkpoint. Ctrl-C saves and leaves; a second one leaves at once."""

_RUN_FLAGS = [
    Flag('train_dir', 'string', 'train_dir', 'Directory of checkpoints and logs; a run in it is resumed.'),
    Flag('recipe', 'string', 'recipe',
         'A group of settings: slim, resnet50_90 or finetune. Flags that are given go before it. (Not in slim.)'),
    Flag('max_number_of_steps', 'integer', 'max_number_of_steps', 'The step to stop at; by default never.'),
    Flag('max_number_of_epochs', 'float', 'max_number_of_epochs',
         'The same in passes over the data set, in place of steps. (Not in slim.)'),
    Flag('nan_policy', 'string', 'nan_policy',
         'What to do with a loss that is not finite: stop, or skip the step. (Not in slim.)'),
    Flag('max_skipped_steps', 'integer', 'max_skipped_steps', 'How many steps a run may skip. (Not in slim.)'),
    Flag('mixed_precision', 'string', 'mixed_precision',
         'Type to compute in, float16 or bfloat16; variables stay in float32. (Not in slim.)'),
    Flag('xla', 'bool', 'xla',
         'Whether XLA compiles the graph; with several workers on GPUs only. (Not in slim.)'),
    Flag('train_image_size', 'integer', 'data.image_size',
         'Height and width of the images in pixels; by default the network\'s.'),
    Flag('log_every_n_steps', 'integer', 'log_every_n_steps', 'Steps between two lines of the log.'),
    Flag('save_summaries_secs', 'float', 'save_summaries_secs', 'Seconds between two TensorBoard summaries.'),
    Flag('summarize_images', 'integer', 'summarize_images',
         'Images of a batch in each of them, as the network sees them. (Not in slim.)'),
    Flag('summarize_histograms', 'bool', 'summarize_histograms',
         'Whether they have histograms of the weights and the gradients. (Not in slim.)'),
    Flag('profile_steps', 'floats', 'profile_steps',
         'First and last step to profile, such as 10,20, counted from 1 when the command starts; the traces are in '
         'plugins/profile of --train_dir. (Not in slim.)'),
    Flag('save_interval_secs', 'float', 'save_interval_secs', 'Seconds between two checkpoints.'),
    Flag('eval_every', 'integer', 'eval_every',
         'Steps between two evaluations, of which another is at the end; the best checkpoint is kept in best/. By '
         'default there are none. (Not in slim.)'),
    Flag('eval_split_name', 'string', 'eval_split_name', 'Split that these evaluate. (Not in slim.)'),
    Flag('seed', 'integer', 'seed',
         'Seed of initial weights, order and augmentation; by default another one each time. (Not in slim.)'),
]

_LEARNING_FLAGS = [
    Flag('weight_decay', 'float', 'weight_decay', 'Factor of the L2 loss on the convolutions\' weights.'),
    Flag('label_smoothing', 'float', 'label_smoothing',
         'Share of the label that is spread over all classes.'),
    Flag('mixup_alpha', 'float', 'mixup_alpha',
         'Parameter of the beta distribution of mixup; 0 for no mixup. (Not in slim.)'),
    Flag('zero_last_gamma', 'bool', 'zero_last_gamma',
         'Whether residual units start as their shortcuts. (Not in slim.)'),
    Flag('gradient_accumulation', 'integer', 'gradient_accumulation',
         'Parts that a batch is divided into, one after the other; it takes less memory. (Not in slim.)'),
    Flag('recompute', 'string', 'recompute',
         'What the backward pass computes again in place of keeping it, to take less memory: none, or the activations '
         'within each unit, block or number of units. (Not in slim.)'),
    Flag('clip_gradient_norm', 'float', 'clip_gradient_norm',
         'The largest norm of all gradients together; by default any. (Not in slim.)'),
    Flag('batch_norm_decay', 'float', 'batch_norm_decay',
         'Decay of the moving statistics of batch norm; by default 0.997. Short runs want less: the '
         'statistics need some 5 / (1 - decay) steps. (Not in slim.)'),
    Flag('moving_average_decay', 'float', 'moving_average_decay',
         'Decay of the moving averages of all variables of the network; by default there are none.'),
    Flag('learning_rate', 'float', 'schedule.learning_rate', 'Learning rate to begin with.'),
    Flag('learning_rate_decay_type', 'string', 'schedule.learning_rate_decay_type',
         'How it decays: cosine, exponential, fixed, piecewise, poly or polynomial.'),
    Flag('end_learning_rate', 'float', 'schedule.end_learning_rate', 'Where a cosine, poly or polynomial decay ends.'),
    Flag('learning_power', 'float', 'schedule.learning_power',
         'Exponent of a poly decay, which ends with the run. (Not in slim.)'),
    Flag('learning_rate_decay_factor', 'float', 'schedule.learning_rate_decay_factor',
         'What an exponential decay multiplies by, and a piecewise one at each boundary.'),
    Flag('num_epochs_per_decay', 'float', 'schedule.num_epochs_per_decay',
         'Epochs between two exponential decays, or until the end of a cosine or polynomial one; by default 2, for a '
         'cosine the whole run.'),
    Flag('learning_rate_boundaries', 'floats', 'schedule.learning_rate_boundaries',
         'Epochs after which a piecewise rate changes, separated by commas. (Not in slim.)'),
    Flag('learning_rate_values', 'floats', 'schedule.learning_rate_values',
         'The rate after each of them, in place of --learning_rate_decay_factor. (Not in slim.)'),
    Flag('warmup_epochs', 'float', 'schedule.warmup_epochs', 'Epochs over which the rate rises from 0.'),
]

_OPTIMIZER_FLAGS = [
    Flag('optimizer', 'string', 'optimizer.optimizer',
         'One of adadelta, adagrad, adam, adamw, ftrl, lars, momentum, nesterov, rmsprop, sgd.'),
    Flag('adadelta_rho', 'float', 'optimizer.adadelta_rho', 'Decay of adadelta.'),
    Flag('adagrad_initial_accumulator_value', 'float', 'optimizer.adagrad_initial_accumulator_value',
         'Initial accumulators of adagrad.'),
    Flag('adam_beta1', 'float', 'optimizer.adam_beta1', 'Decay of adam\'s and adamw\'s first moments.'),
    Flag('adam_beta2', 'float', 'optimizer.adam_beta2', 'Decay of adam\'s and adamw\'s second moments.'),
    Flag('adamw_epsilon', 'float', 'optimizer.adamw_epsilon', 'Epsilon of adamw. (Not in slim.)'),
    Flag('lars_coefficient', 'float', 'optimizer.lars_coefficient',
         'How far lars may move a layer, as a share of its norm, at a rate of 1. (Not in slim.)'),
    Flag('opt_epsilon', 'float', 'optimizer.opt_epsilon', 'Epsilon of adadelta, adam and rmsprop.'),
    Flag('ftrl_learning_rate_power', 'float', 'optimizer.ftrl_learning_rate_power', 'Power of ftrl\'s rate.'),
    Flag('ftrl_initial_accumulator_value', 'float', 'optimizer.ftrl_initial_accumulator_value',
         'Initial accumulators of ftrl.'),
    Flag('ftrl_l1', 'float', 'optimizer.ftrl_l1', 'L1 strength of ftrl.'),
    Flag('ftrl_l2', 'float', 'optimizer.ftrl_l2', 'L2 strength of ftrl.'),
    Flag('momentum', 'float', 'optimizer.momentum', 'Momentum of lars, momentum and nesterov.'),
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
    Flag('freeze', 'list', 'fine_tune.freeze',
         'Scopes not to train, separated by commas, batch norm statistics included. (Not in slim.)'),
    Flag('ignore_missing_vars', 'bool', 'fine_tune.ignore_missing_vars',
         'Whether variables that the checkpoint does not hold start at random.'),
]

FLAGS = [MODEL_FLAG, *DATA_FLAGS, *_RUN_FLAGS, *_LEARNING_FLAGS, *_OPTIMIZER_FLAGS, *_FINE_TUNE_FLAGS, *CLUSTER_FLAGS,
         CPU_FLAG]


def main(argv=None):
    """Runs the command.

    Args:
        argv: The command line with the program's name; None for that of the process.

    Returns:
        The exit code; see `nets.cli.common`.
    """
    command = [sys.executable, *(sys.orig_argv[1:] if argv is None else ['-m', 'nets.cli.train', *argv[1:]])]
    return common.run(argv, TrainConfig(), FLAGS, TRAIN_UNSUPPORTED, _USAGE, lambda config: _run(config, command),
                      _fill_in)


def _fill_in(fields, given):
    """What the recipe sets; said as flags."""
    return recipe_settings(fields, given, recipes.RECIPES, FLAGS)


def recipe_settings(fields, given, known, table):
    """What the recipe of a run sets; it is said as flags.

    Args:
        fields: Dict from the targets of all flags to their values.
        given: The same of those that were given, which go before the recipe.
        known: The recipes; see `nets.training.recipes`.
        table: List of `Flag`.

    Returns:
        Dict from target to value.

    Raises:
        ValueError: There is no such recipe.
    """
    if fields['recipe'] is None:
        return {}
    settings = recipes.settings(fields['recipe'], given.get('data.batch_size'), given, known)
    texts = {target: ','.join(map(str, value)) if isinstance(value, tuple) else value
             for target, value in settings.items() if value is not None}
    print(f'The recipe {fields["recipe"]} is', *[f'--{flag.name}={texts[flag.target]}' for flag in table
                                                 if flag.target in texts], file=sys.stderr)
    return settings


def _run(config, command):
    """Trains in this process, or in copies of it."""
    if config.distributed.num_clones == 1:
        return train(config)[0]
    return launcher.launch([*command, '--num_clones=1'], config.distributed.num_clones, not config.clone_on_cpu)


def train(config, get_problem=None):
    """Trains in this process, and says how it ended.

    Args:
        config: A `nets.training.config.RunConfig`.
        get_problem: Function that imports what is trained, a `nets.training.problem.Problem`; None for a classifier.

    Returns:
        The exit code, and the `nets.training.loop.TrainResult`.
    """
    # XLA leaves CPUs alone unless it is told so before TensorFlow is imported. In a process that has a server it fails
    # to compile the input pipeline.
    if config.xla and tf_config.read().num_workers == 1:
        os.environ['TF_XLA_FLAGS'] = f'{os.environ.get("TF_XLA_FLAGS", "")} --tf_xla_cpu_global_jit'.strip()
    common.load_tensorflow()
    from nets.training import loop
    result = loop.train(config, *[get_problem()] if get_problem else [])
    if result.stopped_by is not None:
        print(f'Stopped by {result.stopped_by.name} at step {result.step}; saved {result.checkpoint_path}. '
              'Run the same command to go on.', file=sys.stderr)
        return common.signal_exit_code(result.stopped_by), result
    loss = '' if result.loss is None else f', loss {result.loss:.4f}'
    print(f'Done at step {result.step}{loss}. Checkpoint: {result.checkpoint_path}', file=sys.stderr)
    return 0, result


if __name__ == '__main__':
    sys.exit(main())
