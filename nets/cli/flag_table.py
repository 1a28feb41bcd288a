"""The flags that training and evaluation share, and those of slim that cannot act here."""

from nets.cli.common import Flag, Unsupported

DATA_FLAGS = [
    Flag('dataset_name', 'string', 'data.dataset_name', 'Name of the data set.'),
    Flag('dataset_split_name', 'string', 'data.dataset_split_name', 'Name of the split.'),
    Flag('dataset_dir', 'string', 'data.dataset_dir', 'Directory of the data set\'s files.'),
    Flag('file_pattern', 'string', 'data.file_pattern',
         'Names of the TFRecord files in --dataset_dir, with %s for the split; by default those of the data '
         'set. (Not in slim.)'),
    Flag('labels_offset', 'integer', 'data.labels_offset',
         'Subtracted from every label and from the number of classes; 1 drops a background class.'),
    Flag('preprocessing_name', 'string', 'data.preprocessing_name',
         'Name of the preprocessing, or of a network whose preprocessing to use; by default that of '
         '--model_name.'),
    Flag('batch_size', 'integer', 'data.batch_size', 'Images per step.'),
    Flag('num_preprocessing_threads', 'integer', 'data.num_preprocessing_threads',
         'Images that are decoded and preprocessed in parallel.'),
    Flag('use_grayscale', 'bool', 'data.use_grayscale', 'Whether to turn the images into one grey channel.'),
    Flag('cache', 'bool', 'data.cache',
         'Whether to read all files into memory first, for disks that are far away. (Not in slim.)'),
    Flag('skip_corrupt', 'bool', 'data.skip_corrupt',
         'Whether to leave out images that cannot be decoded, and count them, instead of stopping. (Not in '
         'slim.)'),
]

MODEL_FLAG = Flag('model_name', 'string', 'model_name', 'Name of the network.')
CPU_FLAG = Flag('clone_on_cpu', 'bool', 'clone_on_cpu', 'Whether to leave accelerators alone and use the '
                                                        'CPU.')

RENAMES_HELP = ('Scopes of the checkpoint and what they are called in the network, old=new, separated by commas, such '
                'as tower_0/resnet_v1_50=resnet_v1_50; an empty new takes old away. (Not in slim.)')

TRAIN_UNSUPPORTED = [
    Unsupported('num_readers', 'integer', 4,
                'files are read as fast as they are needed; --num_preprocessing_threads sets the parallel '
                'work.'),
    Unsupported('quantize_delay', 'integer', -1, 'TensorFlow no longer has the quantization that it switched '
                                                 'on.'),
]

EVAL_UNSUPPORTED = [
    Unsupported('master', 'string', '', 'evaluation runs in one process on one machine.'),
    Unsupported('quantize', 'bool', False, 'TensorFlow no longer has the quantization that it switched on.'),
]
