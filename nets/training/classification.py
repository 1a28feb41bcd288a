"""The training of classifiers, as `nets.training.loop` wants it."""

import dataclasses
import os

from nets.checkpoints import preset_file
from nets.training import evaluation, freezing, inputs, network_losses, optimizers, problem
from nets.training.config import EvalConfig


def training_task(config, checkpoint_path=None):
    """Looks up all that a configuration names; `inputs.make_task` with what training adds.

    Args:
        config: A `TrainConfig`.
        checkpoint_path: Where the weights come from; None for random weights.

    Returns:
        An `inputs.Task`.

    Raises:
        ValueError: A name is unknown, or the data set is not there; see `inputs.make_task`.
    """
    mode = freezing.training_mode(config.fine_tune.trainable_scopes, config.fine_tune.freeze)
    return inputs.make_task(config.model_name, config.data, mode, optimizers.loss_weight_decay(config),
                            config.batch_norm_decay, checkpoint_path)


def _facts(task):
    return {'class_names': task.class_names, 'image_size': task.image_size, 'preprocessing': task.preprocessing,
            'preset': str(task.preset)}


def _describe(task):
    return f'{task.num_classes} classes, {task.image_size}x{task.image_size} pixels ({task.preprocessing})'


def _write_preset(config, task):
    """Writes the preset that the weights of the beginning have, if they have one; else the network's holds."""
    if task.preset:
        preset_file.write_file(os.path.join(config.train_dir, preset_file.DIRECTORY_FILE), task.preset)


def _evaluate(config, checkpoint_path):
    data = dataclasses.replace(config.data, dataset_split_name=config.eval_split_name)
    return evaluation.evaluate(EvalConfig(
        checkpoint_path=checkpoint_path, eval_dir=os.path.join(config.train_dir, 'eval'), model_name=config.model_name,
        data=data, moving_average_decay=config.moving_average_decay, clone_on_cpu=config.clone_on_cpu)).summary


PROBLEM = problem.Problem(
    make_task=training_task, facts=_facts, describe=_describe, write_preset=_write_preset,
    next_batch=inputs.next_batch, losses=network_losses.build,
    excluded_scopes=lambda config, task: config.fine_tune.checkpoint_exclude_scopes, evaluate=_evaluate)
