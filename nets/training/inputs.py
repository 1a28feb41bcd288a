"""From names in a configuration to a network, its images and its labels."""

import collections

import tensorflow.compat.v1 as tf

from nets import nets_factory
from nets.data import datasets, pipeline
from nets.data import preprocessing as presets

# network_fn: see `nets_factory`. num_classes: after the offset. image_size: in pixels. preprocessing: a name.
Task = collections.namedtuple(
    'Task', ('network_fn', 'dataset', 'num_classes', 'class_names', 'image_size', 'preprocessing'))


def make_task(model_name, data, is_training, weight_decay=0.0, batch_norm_decay=None):
    """Looks up all that a configuration names.

    Args:
        model_name: A name of `nets_factory.networks_map`.
        data: A `DataConfig`.
        is_training: What batch norm is built with; see `freezing.training_mode`.
        weight_decay: L2 factor on the convolutions' weights.
        batch_norm_decay: Decay of the batch norms' moving statistics; None for the network's own.

    Returns:
        A `Task`.

    Raises:
        ValueError: A name is unknown, or the data set is not there.
    """
    preset = nets_factory.get_network_fn(model_name, 1).preset
    preprocessing = _preprocessing_name(data.preprocessing_name) or preset.preprocessing
    presets.get_preprocessing(preprocessing, is_training=False)
    dataset = datasets.get_dataset(
        data.dataset_name, data.dataset_split_name, data.dataset_dir, data.file_pattern)
    num_classes = dataset.num_classes - data.labels_offset
    if num_classes < 1:
        raise ValueError(f'labels_offset must be below {dataset.num_classes}, the number of classes of '
                         f'{data.dataset_name}; got {data.labels_offset}.')
    arg_scope_kwargs = {} if batch_norm_decay is None else {'batch_norm_decay': batch_norm_decay}
    network_fn = nets_factory.get_network_fn(
        model_name, num_classes, weight_decay, is_training, **arg_scope_kwargs)
    size = data.image_size or network_fn.default_image_size
    return Task(network_fn, dataset, num_classes, tuple(dataset.class_names[data.labels_offset:]), size,
                preprocessing)


def next_batch(task, data, is_training, seed=None, skip_corrupt=None):
    """Makes the tensors of the next batch.

    Args:
        task: A `Task`.
        data: A `DataConfig`.
        is_training: Whether to shuffle, repeat and augment, or to go over every example once and in order.
        seed: Decides order and augmentation; None for other ones each time.
        skip_corrupt: See `nets.data.pipeline.batches`.

    Returns:
        A pair: the dict of tensors that `nets.data.pipeline.batches` describes, where `image` is
        `[batch, size, size, 3]`, or `[…, 1]` with `use_grayscale`; and the op that has to run before the
        first one.
    """
    preprocess = presets.get_preprocessing(task.preprocessing, is_training)
    batches = pipeline.batches(
        task.dataset, preprocess, task.image_size, task.image_size, data.batch_size, is_training, seed=seed,
        num_parallel_calls=data.num_preprocessing_threads, skip_corrupt=skip_corrupt,
        labels_offset=data.labels_offset)
    iterator = tf.data.make_initializable_iterator(batches)
    batch = iterator.get_next()
    if data.use_grayscale:
        batch = dict(batch, image=tf.image.rgb_to_grayscale(batch['image']))
    return batch, iterator.initializer


def session_config(clone_on_cpu):
    """The configuration of a session.

    Args:
        clone_on_cpu: Whether to leave accelerators alone.

    Returns:
        A `tf.ConfigProto`.
    """
    device_count = {'GPU': 0} if clone_on_cpu else {}
    return tf.ConfigProto(allow_soft_placement=True, device_count=device_count)


def _preprocessing_name(name):
    """The preset of a network's name, which slim's scripts took as well, or the name itself."""
    if name in nets_factory.networks_map and name not in presets.PREPROCESSING:
        return nets_factory.NETWORKS[name].preset.preprocessing
    return name
