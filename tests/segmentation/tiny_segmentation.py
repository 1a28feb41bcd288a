"""A segmentation that trains in no time: the backbone of a TensorFlow 1.15 golden checkpoint, and small shapes."""

import dataclasses
import os

import golden

from nets import nets_factory, resnet
from nets.segmentation import config

NAME = 'tiny_v1'
CHECKPOINT = os.path.join(golden.FOLDER, 'checkpoints', NAME, 'model.ckpt-5')
CLASSES = ('background', 'circle', 'square', 'triangle', 'cross')
_BUILDER = resnet.network(NAME, resnet.Layout(num_units=(2, 2), depths=(4, 8)), default_image_size=33)
NETWORK = nets_factory.Network(_BUILDER, _BUILDER.arg_scope, nets_factory.Preset(33, 'vgg', 0))
# The same as flags.
FLAGS = ['--network=tiny_v1', '--output_stride=8', '--depth_multiplier=1', '--atrous_rates=2',
         '--head_options=depth=8,decoder_depth=8,projection_depth=4', '--train_crop_size=33', '--batch_size=4',
         '--num_preprocessing_threads=1', '--learning_rate_decay_type=fixed', '--log_every_n_steps=1', '--seed=3']


def settings(train_dir, rate=0.05, model=(), data=(), **values):
    """A configuration with a fixed rate.

    Args:
        train_dir: Directory of the run.
        rate: The rate.
        model: Dict of changes of the `ModelConfig`.
        data: Dict of changes of the `DataConfig`.
        **values: Other fields.
    """
    defaults = config.TrainConfig()
    return dataclasses.replace(
        defaults, train_dir=str(train_dir), model_name=NAME, seed=3, log_every_n_steps=1,
        model=dataclasses.replace(defaults.model, **{
            'depth_multiplier': 1.0, 'atrous_rates': (2,), 'output_stride': 8,
            'head_options': ('depth=8', 'decoder_depth=8', 'projection_depth=4'), **dict(model)}),
        data=dataclasses.replace(defaults.data, **{
            'crop_size': (33,), 'batch_size': 4, 'num_preprocessing_threads': 1, **dict(data)}),
        schedule=dataclasses.replace(defaults.schedule, learning_rate_decay_type='fixed', learning_rate=rate), **values)
