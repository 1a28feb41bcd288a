"""What a training or an evaluation run is told: frozen dataclasses, checked when they are made.

The defaults are those of slim's scripts, except where a comment says otherwise. TensorFlow is not imported
here, so that the command line can answer `--help` at once.
"""

import dataclasses
import math

# slim's default was a network that this library does not have.
DEFAULT_MODEL = 'resnet_v1_50'
DEFAULT_DIR = '/tmp/tfmodel/'


def _at_least(config, least, *names):
    """Raises a ValueError unless the named fields are None or at least `least`, and finite."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not (value >= least and math.isfinite(value)):
            raise ValueError(f'{name} must be at least {least}; got {value}.')


def _check_decay(config, *names):
    """Raises a ValueError unless the named fields are None or in (0, 1)."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 < value < 1:
            raise ValueError(f'{name} must be above 0 and below 1; got {value}.')


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which images, and how they become batches.

    Attributes:
        dataset_name: A name of `nets.data.datasets`.
        dataset_split_name: Usually `train`, `validation` or `test`.
        dataset_dir: Where the files are; not needed for a dataset that comes with a package.
        file_pattern: Names of the TFRecord files, with `%s` for the split; None for those of the data set.
        labels_offset: Subtracted from every label, and from the number of classes (slim's meaning): 1 drops a
            background class 0.
        preprocessing_name: A name of `nets.data.preprocessing`, or a network's name for the preset of that
            network; None for the preset of the network that is run.
        batch_size: Images per step, on all devices together.
        image_size: Height and width of the network's input, in pixels; None for the network's default.
        num_preprocessing_threads: Images decoded and preprocessed in parallel.
        use_grayscale: Whether the network sees one channel (the luma of RGB) instead of three.
        skip_corrupt: Whether images that cannot be decoded are left out and counted instead of being an
            error.
    """
    dataset_name: str = 'imagenet'
    dataset_split_name: str = 'train'
    dataset_dir: str | None = None
    file_pattern: str | None = None
    labels_offset: int = 0
    preprocessing_name: str | None = None
    batch_size: int = 32
    image_size: int | None = None
    num_preprocessing_threads: int = 4
    use_grayscale: bool = False
    skip_corrupt: bool = False

    def __post_init__(self):
        _at_least(self, 1, 'batch_size', 'image_size', 'num_preprocessing_threads')
        _at_least(self, 0, 'labels_offset')


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer and its constants; each uses those that it knows. Rates and decays are per step."""
    optimizer: str = 'rmsprop'
    adadelta_rho: float = 0.95
    adagrad_initial_accumulator_value: float = 0.1
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    opt_epsilon: float = 1.0
    ftrl_learning_rate_power: float = -0.5
    ftrl_initial_accumulator_value: float = 0.1
    ftrl_l1: float = 0.0
    ftrl_l2: float = 0.0
    momentum: float = 0.9
    rmsprop_momentum: float = 0.9
    rmsprop_decay: float = 0.9

    def __post_init__(self):
        fractions = ('adadelta_rho', 'adam_beta1', 'adam_beta2', 'momentum', 'rmsprop_momentum', 'rmsprop_decay')
        _at_least(self, 0, 'adagrad_initial_accumulator_value', 'opt_epsilon', 'ftrl_initial_accumulator_value',
                  'ftrl_l1', 'ftrl_l2', *fractions)
        for name in fractions:
            if getattr(self, name) >= 1:
                raise ValueError(f'{name} must be below 1; got {getattr(self, name)}.')


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate over time.

    Attributes:
        learning_rate_decay_type: `fixed`, `exponential` or `polynomial`.
        learning_rate: The rate to begin with.
        end_learning_rate: Where a polynomial decay ends.
        learning_rate_decay_factor: What an exponential decay multiplies by.
        num_epochs_per_decay: Epochs between two exponential decays, or until the end of a polynomial one.
        warmup_epochs: Epochs over which the rate rises linearly from 0.
    """
    learning_rate_decay_type: str = 'exponential'
    learning_rate: float = 0.01
    end_learning_rate: float = 0.0001
    learning_rate_decay_factor: float = 0.94
    num_epochs_per_decay: float = 2.0
    warmup_epochs: float = 0.0

    def __post_init__(self):
        _at_least(self, 0, 'learning_rate', 'end_learning_rate', 'warmup_epochs',
                  'learning_rate_decay_factor')
        if not 0 < self.num_epochs_per_decay < math.inf:
            raise ValueError(f'num_epochs_per_decay must be above 0 and finite; got {self.num_epochs_per_decay}.')


@dataclasses.dataclass(frozen=True)
class FineTuneConfig:
    """Where the weights come from, and which of them are trained.

    Attributes:
        checkpoint_path: A checkpoint, or a directory that holds one, to begin with; None for random weights.
        checkpoint_exclude_scopes: Full scope names that are not restored from it.
        checkpoint_renames: Scopes that it has under other names; see `nets.checkpoints.restore.restore_fn`.
        trainable_scopes: Full scope names that are trained; empty for all. What lies outside stays as it is,
            the moving statistics of batch norm included, and is normalised with those statistics.
        ignore_missing_vars: Whether variables that the checkpoint does not hold start at random.
    """
    checkpoint_path: str | None = None
    checkpoint_exclude_scopes: tuple[str, ...] = ()
    checkpoint_renames: tuple[str, ...] = ()
    trainable_scopes: tuple[str, ...] = ()
    ignore_missing_vars: bool = False


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Attributes:
        train_dir: Directory of checkpoints, summaries and `metrics.jsonl`. A checkpoint in it is resumed.
        model_name: A name of `nets.nets_factory.networks_map`.
        weight_decay: L2 factor on the convolutions' weights.
        label_smoothing: Share of the label's weight that is spread over all classes, in [0, 1).
        batch_norm_decay: Decay of the batch norms' moving statistics; None for the network's own, 0.997 for
            slim's. Those start at 0 and 1 and need some 5 / (1 - decay) steps to forget it: 1700 steps at
            0.997, 50 at 0.9.
        moving_average_decay: Decay of the averages of all model variables; None for no averages.
        max_number_of_steps: The step to stop at, counted from step 0 of the run in `train_dir`; None: never.
        max_number_of_epochs: The same in passes over the data set, may be a fraction; only one of the two.
        gradient_accumulation: Micro-batches whose gradients are averaged in a step; `data.batch_size` counts all.
        log_every_n_steps: Steps between two lines of the log (and of `metrics.jsonl`).
        save_summaries_secs: Seconds between two TensorBoard summaries.
        save_interval_secs: Seconds between two checkpoints.
        seed: Seed of weights, order and augmentation; None for other ones each time.
        clone_on_cpu: Whether to leave accelerators alone.
    """
    train_dir: str = DEFAULT_DIR
    model_name: str = DEFAULT_MODEL
    data: DataConfig = DataConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    fine_tune: FineTuneConfig = FineTuneConfig()
    weight_decay: float = 0.00004
    label_smoothing: float = 0.0
    batch_norm_decay: float | None = None
    moving_average_decay: float | None = None
    max_number_of_steps: int | None = None
    max_number_of_epochs: float | None = None
    gradient_accumulation: int = 1
    log_every_n_steps: int = 10
    save_summaries_secs: float = 600
    save_interval_secs: float = 600
    seed: int | None = None
    clone_on_cpu: bool = False

    def __post_init__(self):
        _at_least(self, 0, 'weight_decay', 'save_summaries_secs', 'save_interval_secs')
        _at_least(self, 1, 'max_number_of_steps', 'log_every_n_steps', 'gradient_accumulation')
        _check_decay(self, 'moving_average_decay', 'batch_norm_decay')
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f'label_smoothing must be at least 0 and below 1; got {self.label_smoothing}.')


def micro_batch_size(config, num_workers=1):
    """Images that one worker takes at a time.

    Args:
        config: A `TrainConfig`.
        num_workers: Processes that train together.

    Returns:
        An int.

    Raises:
        ValueError: The batch cannot be divided into equal parts.
    """
    size, parts = config.data.batch_size, num_workers * config.gradient_accumulation
    if size % parts:
        raise ValueError(f'batch_size must be a multiple of {parts} for {num_workers} worker(s) that take '
                         f'{config.gradient_accumulation} micro-batch(es) each; got {size}.')
    return size // parts


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """An evaluation.

    Attributes:
        checkpoint_path: A checkpoint, or a directory whose newest one is taken.
        checkpoint_renames: Scopes that it has under other names; see `nets.checkpoints.restore.restore_fn`.
        eval_dir: Directory of `eval.json`, `report.html` and the summaries.
        model_name: A name of `nets.nets_factory.networks_map`.
        data: The images. The batch size changes the speed and nothing else.
        max_num_batches: Batches to stop after; None for every example exactly once.
        moving_average_decay: Anything but None: read the moving averages (the value itself plays no role).
        clone_on_cpu: Whether to leave accelerators alone.
        engine: What computes: 'tensorflow', or 'onnxruntime' where it is installed.
    """
    checkpoint_path: str = DEFAULT_DIR
    checkpoint_renames: tuple[str, ...] = ()
    eval_dir: str = DEFAULT_DIR
    model_name: str = DEFAULT_MODEL
    data: DataConfig = DataConfig(dataset_split_name='test', batch_size=100)
    max_num_batches: int | None = None
    moving_average_decay: float | None = None
    clone_on_cpu: bool = False
    engine: str = 'tensorflow'

    def __post_init__(self):
        _at_least(self, 1, 'max_num_batches')
        _check_decay(self, 'moving_average_decay')
