"""The training of segmentations, as `nets.training.loop` wants it."""

import collections
import dataclasses
import functools
import logging
import os

import tensorflow.compat.v1 as tf

from nets import nets_factory
from nets.checkpoints import preset_file, restore
from nets.data.segmentation import augmentation, datasets, pipeline
from nets.dense import options
from nets.segmentation import config as configs
from nets.segmentation import evaluation, losses, model_file
from nets.training import freezing, inputs, network_losses, optimizers, problem

logger = logging.getLogger(__name__)

_CONSTANTS = ('means', 'deviations', 'channel_order')

# model: a `model_file.Model`. network_fn: see `nets.dense.model`. dataset: a `nets.data.segmentation.datasets.Dataset`.
# preprocess: a function of `augmentation`. crop: height and width in pixels.
Task = collections.namedtuple('Task', ('model', 'network_fn', 'dataset', 'preprocess', 'crop'))


def make_task(config, checkpoint_path=None):
    """Looks up all that a configuration names.

    Args:
        config: A `nets.segmentation.config.TrainConfig`.
        checkpoint_path: Where the weights come from; what stands beside them goes before the network's own
            preprocessing. None for random weights.

    Returns:
        A `Task`.

    Raises:
        ValueError: A name or a value is not allowed, or the data set is not there.
    """
    data = config.data
    published = nets_factory.get_network_fn(config.model_name, None).preset
    head_options = _head_options(config.model)
    dataset = datasets.get_dataset(data.dataset_name, data.dataset_split_name, data.dataset_dir, data.file_pattern,
                                   data.num_classes, data.ignore_label)
    preprocessing, constants = _preprocessing(config, published, checkpoint_path)
    model = model_file.Model(
        config.model_name, config.model.head, config.model.output_stride, list(config.model.multi_grid), head_options,
        _backbone_options(config.model), dataset.class_names, model_file.default_palette(dataset.num_classes),
        dataset.ignore_label, preprocessing, constants)
    model_file.check(model)
    tune = config.fine_tune
    network_fn = model_file.network_fn(
        model, is_training=freezing.training_mode(tune.trainable_scopes, tune.freeze),
        fine_tune_batch_norm=config.model.fine_tune_batch_norm, weight_decay=optimizers.loss_weight_decay(config),
        batch_norm_decay=config.batch_norm_decay)
    preprocess = augmentation.get_preprocessing(
        preprocessing, True, (data.min_scale_factor, data.max_scale_factor), data.scale_factor_step_size, data.flip,
        **constants)
    crop = data.crop_size * 2 if len(data.crop_size) == 1 else data.crop_size
    return Task(model, network_fn, dataset, preprocess, tuple(crop))


def _head_options(config):
    """The options of the head; those of the defaults that it does not have are left out."""
    known, default = options.get_head(config.head).options, configs.ModelConfig()
    texts, rates = config.head_options, config.atrous_rates
    if texts == default.head_options:
        texts = [text for text in texts if text.partition('=')[0] in known]
    if rates == default.atrous_rates and 'atrous_rates' not in known:
        rates = ()
    found = options.parse(config.head, texts)
    named = {'atrous_rates': rates, 'decoder_output_stride': config.decoder_output_stride}
    found.update({key: value for key, value in named.items() if value})
    options.check(config.head, found)
    return found


def _backbone_options(config):
    values = {'depth_multiplier': config.depth_multiplier, 'min_base_depth': config.min_base_depth}
    return {key: value for key, value in values.items() if value is not None}


def _preprocessing(config, published, checkpoint_path):
    """The name of the preprocessing, and those of its constants that are not its own."""
    name = config.data.preprocessing_name
    found = model_file.find(restore.find_checkpoint(checkpoint_path)) if checkpoint_path else None
    if found:
        beside = model_file.read_file(found)
        beside = beside.preprocessing, beside.options
    else:
        preset = preset_file.read(checkpoint_path) if checkpoint_path else None
        beside = preset and (preset.preprocessing, {key: preset.options[key] for key in _CONSTANTS
                                                    if key in preset.options})
    if not beside:
        return name or published.preprocessing, {}
    if name not in (None, beside[0]):
        logger.info('The preprocessing of %s, %s, is not used: --preprocessing_name=%s.', checkpoint_path, beside[0],
                    name)
        return name, {}
    return beside


def _facts(task):
    return {'model': str(task.model)}


def _describe(task):
    return (f'{task.dataset.num_classes} classes, crops of {task.crop[0]}x{task.crop[1]} pixels '
            f'({task.model.preprocessing})')


def next_batch(task, data, batch_size, share, skip_corrupt=None):
    """Makes the tensors of the next batch; see `nets.training.problem.Problem`."""
    return inputs.timed(pipeline.batches(
        task.dataset, task.preprocess, *task.crop, batch_size, share,
        num_parallel_calls=data.num_preprocessing_threads, skip_corrupt=skip_corrupt))


def build_losses(config, task, batch, position):
    """Builds the network on a batch; see `nets.training.problem.Problem`."""
    seed = tf.stack([tf.constant(config.seed or 0, tf.int64), position])
    network_fn = functools.partial(task.network_fn, dropout_seed=seed)
    logits, _ = network_losses.run_network(config, network_fn, batch['image'])
    loss = losses.segmentation_losses(
        logits, batch['label'], task.dataset.ignore_label, config.loss.class_weights or None,
        config.loss.top_k_percent_pixels, config.loss.hard_example_mining_step,
        position // config.gradient_accumulation)
    return loss, batch['image']


def excluded_scopes(config, task):
    """Besides what the flags say, all scopes of the head, if the checkpoint has none of them: it is of a backbone."""
    path = restore.find_checkpoint(config.fine_tune.checkpoint_path)
    held = {name.split('/')[0] for name in restore.read_shapes(path)}
    head = list(dict.fromkeys(one.op.name.split('/')[0] for one in tf.model_variables()
                              if not restore.in_scope(one.op.name, task.network_fn.backbone_scope)))
    given = config.fine_tune.checkpoint_exclude_scopes
    if held.intersection(head) or not head:
        return given
    logger.info('%s has no head; these begin at random: %s.', path, ', '.join(head))
    return (*given, *(scope for scope in head if scope not in given))


def evaluate(config, checkpoint_path):
    """Evaluates in the course of a run; see `nets.training.problem.Problem`."""
    return evaluation.evaluate(configs.EvalConfig(
        configs.InferenceConfig(checkpoint_path, moving_average_decay=config.moving_average_decay,
                                clone_on_cpu=config.clone_on_cpu),
        os.path.join(config.train_dir, 'eval'),
        dataclasses.replace(config.data, dataset_split_name=config.eval_split_name))).summary


PROBLEM = problem.Problem(
    make_task=make_task, facts=_facts, describe=_describe,
    write_preset=lambda config, task: model_file.write(config.train_dir, task.model),
    next_batch=next_batch, losses=build_losses, excluded_scopes=excluded_scopes, evaluate=evaluate)
