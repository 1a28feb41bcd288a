"""From names in a configuration to a network, its images and its labels."""

import collections
import dataclasses
import logging

import tensorflow.compat.v1 as tf

from nets import nets_factory
from nets.checkpoints import preset_file
from nets.data import datasets, pipeline, sources
from nets.data import preprocessing as presets

logger = logging.getLogger(__name__)

# network_fn: see `nets_factory`. num_classes: after the offset. image_size: in pixels. preprocessing: a name. preset:
# that of the checkpoint, a `preset_file.Preset`, or None to prepare images as the preprocessing does by itself.
Task = collections.namedtuple(
    'Task', ('network_fn', 'dataset', 'num_classes', 'class_names', 'image_size', 'preprocessing', 'preset'))


def make_task(model_name, data, is_training, weight_decay=0.0, batch_norm_decay=None, checkpoint_path=None):
    """Looks up all that a configuration names.

    Args:
        model_name: A name of `nets_factory.networks_map`.
        data: A `DataConfig`.
        is_training: What batch norm is built with; see `freezing.training_mode`.
        weight_decay: L2 factor on the convolutions' weights.
        batch_norm_decay: Decay of the batch norms' moving statistics; None for the network's own.
        checkpoint_path: Where the weights come from; the preset beside it, if there is one, goes before the network's.
            None for random weights.

    Returns:
        A `Task`.

    Raises:
        ValueError: A name is unknown, the data set is not there, or the checkpoint's preset cannot be honoured.
    """
    published = nets_factory.get_network_fn(model_name, 1).preset
    given = _preprocessing_name(data.preprocessing_name)
    presets.get_preprocessing(given or published.preprocessing, is_training=False)
    dataset = datasets.get_dataset(
        data.dataset_name, data.dataset_split_name, data.dataset_dir, data.file_pattern)
    if data.cache:
        dataset = dataclasses.replace(dataset, source=sources.in_memory(dataset.source))
    num_classes = dataset.num_classes - data.labels_offset
    if num_classes < 1:
        raise ValueError(f'labels_offset must be below {dataset.num_classes}, the number of classes of '
                         f'{data.dataset_name}; got {data.labels_offset}.')
    arg_scope_kwargs = {} if batch_norm_decay is None else {'batch_norm_decay': batch_norm_decay}
    network_fn = nets_factory.get_network_fn(
        model_name, num_classes, weight_decay, is_training, **arg_scope_kwargs)
    class_names = tuple(dataset.class_names[data.labels_offset:])
    preset = _preset_beside(checkpoint_path, given, data.image_size)
    if preset:
        preset = preset._replace(network=model_name, num_classes=num_classes, class_names=class_names)
        return Task(network_fn, dataset, num_classes, class_names, preset.image_size, preset.preprocessing, preset)
    return Task(network_fn, dataset, num_classes, class_names, data.image_size or network_fn.default_image_size,
                given or published.preprocessing, None)


def next_batch(task, data, batch_size=None, share=None, skip_corrupt=None):
    """Makes the tensors of the next batch.

    Args:
        task: A `Task`.
        data: A `DataConfig`.
        batch_size: Images in it; None for that of `data`.
        share: A `nets.data.pipeline.Share` to train on; None to go over every example once and in order.
        skip_corrupt: See `nets.data.pipeline.batches`.

    Returns:
        A pair: the dict of tensors that `nets.data.pipeline.batches` describes, where `image` is
        `[batch, size, size, 3]`, or `[…, 1]` with `use_grayscale`, and `wait`, float64, the seconds until the batch
        was there; and the op that has to run before the first one.
    """
    is_training = share is not None
    preprocess = (preset_file.preprocess_fn(task.preset, is_training) if task.preset else
                  presets.get_preprocessing(task.preprocessing, is_training))
    batches = pipeline.batches(
        task.dataset, preprocess, task.image_size, task.image_size, batch_size or data.batch_size, share,
        num_parallel_calls=data.num_preprocessing_threads, skip_corrupt=skip_corrupt,
        labels_offset=data.labels_offset)
    batch, initialize = timed(batches)
    if data.use_grayscale:
        batch = dict(batch, image=tf.image.rgb_to_grayscale(batch['image']))
    return batch, initialize


def timed(batches):
    """The tensors of the next batch and of the time that it took.

    Args:
        batches: A `tf.data.Dataset` of dicts.

    Returns:
        A pair: the dict of tensors, with `wait`, float64, the seconds until the batch was there; and the op that has to
        run before the first one.
    """
    iterator = tf.data.make_initializable_iterator(batches)
    begin = tf.timestamp()
    with tf.control_dependencies([begin]):
        batch = iterator.get_next()
    with tf.control_dependencies(list(batch.values())):
        batch = dict(batch, wait=tf.timestamp() - begin)
    return batch, iterator.initializer


def session_config(clone_on_cpu, xla=False):
    """The configuration of a session.

    Args:
        clone_on_cpu: Whether to leave accelerators alone.
        xla: Whether XLA compiles what it can; on a CPU see `TrainConfig`.

    Returns:
        A `tf.ConfigProto`.
    """
    device_count = {'GPU': 0} if clone_on_cpu else {}
    session = tf.ConfigProto(allow_soft_placement=True, device_count=device_count)
    if xla:
        session.graph_options.optimizer_options.global_jit_level = tf.OptimizerOptions.ON_1
    return session


def _preset_beside(checkpoint_path, preprocessing_name, image_size):
    """The preset of a checkpoint, unless the flags say otherwise; None if it has none."""
    preset = preset_file.read(checkpoint_path) if checkpoint_path else None
    if preset is None:
        return None
    if preprocessing_name not in (None, preset.preprocessing):
        logger.info('The preset of %s, %s, is not used: --preprocessing_name=%s.', checkpoint_path,
                    preset.preprocessing, preprocessing_name)
        return None
    if image_size not in (None, preset.image_size):
        preset = preset_file.resized(preset, image_size)
    logger.info('Images are prepared by the preset of %s: %s, %d pixels, %s.', checkpoint_path, preset.preprocessing,
                preset.image_size, ', '.join(f'{key} {value}' for key, value in preset.options.items()))
    return preset


def _preprocessing_name(name):
    """The preset of a network's name, which slim's scripts took as well, or the name itself."""
    if name in nets_factory.networks_map and name not in presets.PREPROCESSING:
        return nets_factory.NETWORKS[name].preset.preprocessing
    return name
