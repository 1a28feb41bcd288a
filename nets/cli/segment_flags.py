"""The flags of `nets segment train`: those of the training of classifiers that hold for any, and DeepLab's."""

from nets.cli import common, train
from nets.cli.common import Flag
from nets.cli.flag_table import DATA_FLAGS
from nets.segmentation.config import TrainConfig

_MODEL_FLAGS = [
    Flag('network', 'string', 'model_name', 'Name of the backbone.'),
    Flag('head', 'string', 'model.head', 'fcn, deeplab_v2, deeplab_v3, deeplab_v3plus or psp.'),
    Flag('output_stride', 'integer', 'model.output_stride', 'Stride of the backbone\'s features.'),
    Flag('multi_grid', 'integers', 'model.multi_grid',
         'Rates of the units of the backbone\'s last block, such as 1,2,4; by default 1 each.'),
    Flag('depth_multiplier', 'float', 'model.depth_multiplier', 'Factor of the backbone\'s depths.'),
    Flag('min_base_depth', 'integer', 'model.min_base_depth',
         'The least base depth of its blocks; by default the network\'s.'),
    Flag('atrous_rates', 'integers', 'model.atrous_rates',
         'Rates of the head\'s convolutions; empty for those of its paper.'),
    Flag('decoder_output_stride', 'integers', 'model.decoder_output_stride',
         'Stride of the finer features that the decoder adds, or several, the coarsest first; by default 4.'),
    Flag('head_options', 'list', 'model.head_options',
         'Other options of the head, option=value, separated by commas, such as depth=64,keep_prob=1; empty for its '
         'own.'),
    Flag('fine_tune_batch_norm', 'bool', 'model.fine_tune_batch_norm',
         'Whether batch normalisation is trained; if not, its averages are used as they are.'),
]
_DATA_FLAGS = [
    Flag('num_classes', 'integer', 'data.num_classes', 'Number of classes, where the data set names none.'),
    Flag('ignore_label', 'integer', 'data.ignore_label', 'Label of pixels that count for nothing; by default 255.'),
    Flag('train_crop_size', 'integers', 'data.crop_size', 'Height and width in pixels of what is trained on.'),
    Flag('min_scale_factor', 'float', 'data.min_scale_factor', 'The least factor that images are scaled by.'),
    Flag('max_scale_factor', 'float', 'data.max_scale_factor', 'The largest.'),
    Flag('scale_factor_step_size', 'float', 'data.scale_factor_step_size',
         'Distance of neighbouring factors; 0 for any.'),
    Flag('flip', 'bool', 'data.flip', 'Whether half of the images are mirrored.'),
]
_LOSS_FLAGS = [
    Flag('class_weights', 'floats', 'loss.class_weights', 'A factor of the loss for each class; by default 1.'),
    Flag('top_k_percent_pixels', 'float', 'loss.top_k_percent_pixels', 'Share of the pixels, the hardest, that count.'),
    Flag('hard_example_mining_step', 'integer', 'loss.hard_example_mining_step',
         'Step from which on it is that share; it falls from 1 linearly.'),
]
# What says which data set it is; evaluation has it, too.
DATASET_FLAGS = [flag for flag in DATA_FLAGS if flag.name in (
    'dataset_name', 'dataset_split_name', 'dataset_dir', 'file_pattern', 'num_preprocessing_threads', 'skip_corrupt')
    ] + [flag for flag in _DATA_FLAGS if flag.name in ('num_classes', 'ignore_label')]

_OWN = [*_MODEL_FLAGS, *_DATA_FLAGS, *_LOSS_FLAGS]
_OTHER = {'recipe': 'A group of settings: deeplab. Flags that are given go before it.'}
TRAIN_FLAGS = [*_OWN, *[flag._replace(help=_OTHER.get(flag.name, flag.help)) for flag in train.FLAGS
                        if common.has(TrainConfig(), flag.target) and flag.name != 'model_name']]
