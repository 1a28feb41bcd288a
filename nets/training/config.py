"""What a training or an evaluation run is told: frozen dataclasses, checked when they are made.

The defaults are those of slim's scripts, except where a comment says otherwise. TensorFlow is not imported
here, so that the command line can answer `--help` at once.
"""

import dataclasses
import math
from typing import ClassVar

from nets.training.distributed.settings import DistributedConfig

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


def _above_0(config, *names):
    """Raises a ValueError unless the named fields are None or above 0, and finite."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f'{name} must be above 0 and finite; got {value}.')


def _one_of(config, name, allowed):
    """Raises a ValueError unless the named field is among the allowed values."""
    if getattr(config, name) not in allowed:
        raise ValueError(f'{name} must be one of {", ".join(map(str, allowed))}; got {getattr(config, name)!r}.')


def _check_end(config):
    """Raises a ValueError if the rate ends with the run, and the run has no end."""
    ends = {'poly': 'max_number_of_epochs or max_number_of_steps'}
    if config.schedule.num_epochs_per_decay is None:
        ends['cosine'] = 'max_number_of_epochs, max_number_of_steps or num_epochs_per_decay'
    name = config.schedule.learning_rate_decay_type
    if name in ends and config.max_number_of_steps is None and config.max_number_of_epochs is None:
        raise ValueError(f'learning_rate_decay_type={name} needs an end: give {ends[name]}.')


def _check_recompute(config):
    """Raises a ValueError unless the field `recompute` names what can be computed again, and is."""
    every = config.recompute
    if every not in ('none', 'unit', 'block') and not (every.isdecimal() and int(every) >= 1):
        raise ValueError(f'recompute must be none, unit, block or a number of units from 1; got {every!r}.')
    if every != 'none' and config.xla:
        raise ValueError(f'recompute={every} takes no less memory with xla, which computes nothing twice; give one of '
                         'the two.')


@dataclasses.dataclass(frozen=True)
class BatchConfig:
    """Which data set, and how many of its images at a time: what any training is told.

    Attributes:
        dataset_name: Name of the data set.
        dataset_split_name: Usually `train`, `validation` or `test`.
        dataset_dir: Where the files are; not needed for a dataset that comes with a package.
        batch_size: Images per step, on all devices together.
        num_preprocessing_threads: Images decoded and preprocessed in parallel.
        skip_corrupt: Whether images that cannot be decoded are left out and counted instead of being an
            error.
    """
    dataset_name: str = 'imagenet'
    dataset_split_name: str = 'train'
    dataset_dir: str | None = None
    batch_size: int = 32
    num_preprocessing_threads: int = 4
    skip_corrupt: bool = False

    def __post_init__(self):
        _at_least(self, 1, 'batch_size', 'num_preprocessing_threads')


@dataclasses.dataclass(frozen=True)
class DataConfig(BatchConfig):
    """Which images of a data set of `nets.data.datasets`, and how a classifier gets them.

    Attributes:
        file_pattern: Names of the TFRecord files, with `%s` for the split; None for those of the data set.
        labels_offset: Subtracted from every label, and from the number of classes (slim's meaning): 1 drops a
            background class 0.
        preprocessing_name: A name of `nets.data.preprocessing`, or a network's name for the preset of that
            network; None for the preset of the network that is run.
        image_size: Height and width of the network's input, in pixels; None for the network's default.
        use_grayscale: Whether the network sees one channel (the luma of RGB) instead of three.
        cache: Whether all files are read into memory first, still encoded; for disks that are far away.
    """
    file_pattern: str | None = None
    labels_offset: int = 0
    preprocessing_name: str | None = None
    image_size: int | None = None
    use_grayscale: bool = False
    cache: bool = False

    def __post_init__(self):
        super().__post_init__()
        _at_least(self, 1, 'image_size')
        _at_least(self, 0, 'labels_offset')


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer and its constants; each uses those that it knows. Rates and decays are per step.

    `opt_epsilon` has slim's default of 1, at which adam is hardly adaptive; adamw has an epsilon of its own.
    """
    optimizer: str = 'rmsprop'
    adadelta_rho: float = 0.95
    adagrad_initial_accumulator_value: float = 0.1
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adamw_epsilon: float = 1e-8
    opt_epsilon: float = 1.0
    ftrl_learning_rate_power: float = -0.5
    ftrl_initial_accumulator_value: float = 0.1
    ftrl_l1: float = 0.0
    ftrl_l2: float = 0.0
    lars_coefficient: float = 0.001
    momentum: float = 0.9
    rmsprop_momentum: float = 0.9
    rmsprop_decay: float = 0.9

    def __post_init__(self):
        fractions = ('adadelta_rho', 'adam_beta1', 'adam_beta2', 'momentum', 'rmsprop_momentum', 'rmsprop_decay')
        _at_least(self, 0, 'adagrad_initial_accumulator_value', 'opt_epsilon', 'ftrl_initial_accumulator_value',
                  'ftrl_l1', 'ftrl_l2', 'adamw_epsilon', *fractions)
        _above_0(self, 'lars_coefficient')
        for name in fractions:
            if getattr(self, name) >= 1:
                raise ValueError(f'{name} must be below 1; got {getattr(self, name)}.')


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate over time.

    Attributes:
        learning_rate_decay_type: A key of `nets.training.schedules.POLICIES`.
        learning_rate: The rate to begin with.
        end_learning_rate: Where a cosine, poly or polynomial decay ends.
        learning_power: Exponent of a poly decay, which ends with the run.
        learning_rate_decay_factor: What an exponential decay multiplies by, and a piecewise one without values.
        num_epochs_per_decay: Epochs between two exponential decays, or until the end of a cosine or polynomial one.
            None for slim's 2, and for a cosine that ends with the run.
        learning_rate_boundaries: Epochs after which a piecewise rate changes, ascending.
        learning_rate_values: The rate after each of them; empty to multiply by the factor.
        warmup_epochs: Epochs over which the rate rises linearly from 0; they count as epochs of the decay.
    """
    learning_rate_decay_type: str = 'exponential'
    learning_rate: float = 0.01
    end_learning_rate: float = 0.0001
    learning_power: float = 0.9
    learning_rate_decay_factor: float = 0.94
    num_epochs_per_decay: float | None = None
    learning_rate_boundaries: tuple[float, ...] = ()
    learning_rate_values: tuple[float, ...] = ()
    warmup_epochs: float = 0.0

    def __post_init__(self):
        _at_least(self, 0, 'learning_rate', 'end_learning_rate', 'warmup_epochs',
                  'learning_rate_decay_factor')
        _above_0(self, 'num_epochs_per_decay', 'learning_power')
        boundaries, values = self.learning_rate_boundaries, self.learning_rate_values
        if not all(low < high < math.inf for low, high in zip((0, *boundaries), boundaries, strict=False)):
            raise ValueError(f'learning_rate_boundaries must be epochs above 0, ascending; got {boundaries}.')
        if values and (len(values) != len(boundaries) or not all(0 <= value < math.inf for value in values)):
            raise ValueError('learning_rate_values must be rates of at least 0, one for each of the '
                             f'{len(boundaries)} learning_rate_boundaries; got {values}.')
        if self.learning_rate_decay_type == 'piecewise' and not boundaries:
            raise ValueError('learning_rate_decay_type=piecewise needs learning_rate_boundaries, such as 30,60,80.')


@dataclasses.dataclass(frozen=True)
class FineTuneConfig:
    """Where the weights come from, and which of them are trained.

    Attributes:
        checkpoint_path: A checkpoint, or a directory that holds one, to begin with; None for random weights.
        checkpoint_exclude_scopes: Full scope names that are not restored from it.
        checkpoint_renames: Scopes that it has under other names; see `nets.checkpoints.restore.restore_fn`.
        trainable_scopes: Full scope names that are trained; empty for all. What lies outside stays as it is,
            the moving statistics of batch norm included, and is normalised with those statistics.
        freeze: Full scope names that are not trained, in the same sense, even if they lie in `trainable_scopes`.
        ignore_missing_vars: Whether variables that the checkpoint does not hold start at random.
    """
    checkpoint_path: str | None = None
    checkpoint_exclude_scopes: tuple[str, ...] = ()
    checkpoint_renames: tuple[str, ...] = ()
    trainable_scopes: tuple[str, ...] = ()
    freeze: tuple[str, ...] = ()
    ignore_missing_vars: bool = False


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """A training run, of whatever `nets.training.problem.Problem`.

    Attributes:
        scores: What an evaluation in the course of a run is judged by: names in its record, the first of which decides
            what is best, and what people call them.
        recipe: The key of `nets.training.recipes.RECIPES` that other fields were set by, or None; it sets nothing here.
        train_dir: Directory of checkpoints, summaries, `metrics.jsonl`, `report.html`. A checkpoint in it is resumed.
        model_name: A name of `nets.nets_factory.networks_map`.
        weight_decay: L2 factor on the convolutions' weights; adamw and lars apply it by themselves, instead of in the
            loss.
        zero_last_gamma: Whether residual units start as their shortcuts.
        clip_gradient_norm: The largest norm of all gradients together; None for no limit.
        mixed_precision: `float16` or `bfloat16` to compute in that type, with variables, statistics of batch norm and
            losses in float32; None for float32.
        xla: Whether XLA compiles the graph. On a CPU that also takes `--tf_xla_cpu_global_jit` in the environment
            variable `TF_XLA_FLAGS`, set before TensorFlow is imported.
        nan_policy: `stop` at a loss that is not finite, or `skip` steps whose loss or gradients are not: they change
            nothing but the number of the step.
        max_skipped_steps: How many such steps a run may have.
        batch_norm_decay: Decay of the batch norms' moving statistics; None for the network's own, 0.997 for
            slim's. Those start at 0 and 1 and need some 5 / (1 - decay) steps to forget it: 1700 steps at
            0.997, 50 at 0.9.
        moving_average_decay: Decay of the averages of all model variables; None for no averages.
        max_number_of_steps: The step to stop at, counted from step 0 of the run in `train_dir`; None: never.
        max_number_of_epochs: The same in passes over the data set, may be a fraction; only one of the two.
        gradient_accumulation: Micro-batches whose gradients are averaged in a step; `data.batch_size` counts all.
        recompute: Which activations the backward pass computes again, in place of keeping them: `none`, or those within
            each `unit` or `block` of the network, or within so many units, such as `3`. Not with `xla`.
        log_every_n_steps: Steps between two lines of the log (and of `metrics.jsonl`).
        save_summaries_secs: Seconds between two TensorBoard summaries.
        summarize_images: Images of a batch in each of them, as the network sees them; 0 for none.
        summarize_histograms: Whether they have histograms of the weights and the gradients.
        profile_steps: The first and the last step to profile, counted from 1 when the process starts; empty for none.
        save_interval_secs: Seconds between two checkpoints.
        eval_every: Steps between two evaluations, of which another is at the end; the best checkpoint is in `best/`. 0
            for none.
        eval_split_name: The split of the data set that they use.
        seed: Seed of weights, order and augmentation; None for a random one. A resumed run keeps its own.
        clone_on_cpu: Whether to leave accelerators alone.
    """
    scores: ClassVar[dict[str, str]] = {}

    recipe: str | None = None
    train_dir: str = DEFAULT_DIR
    model_name: str = DEFAULT_MODEL
    data: BatchConfig = BatchConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    fine_tune: FineTuneConfig = FineTuneConfig()
    distributed: DistributedConfig = DistributedConfig()
    weight_decay: float = 0.00004
    zero_last_gamma: bool = False
    clip_gradient_norm: float | None = None
    mixed_precision: str | None = None
    xla: bool = False
    nan_policy: str = 'stop'
    max_skipped_steps: int = 100
    batch_norm_decay: float | None = None
    moving_average_decay: float | None = None
    max_number_of_steps: int | None = None
    max_number_of_epochs: float | None = None
    gradient_accumulation: int = 1
    recompute: str = 'none'
    log_every_n_steps: int = 10
    save_summaries_secs: float = 600
    summarize_images: int = 0
    summarize_histograms: bool = False
    profile_steps: tuple[int, ...] = ()
    save_interval_secs: float = 600
    eval_every: int = 0
    eval_split_name: str = 'validation'
    seed: int | None = None
    clone_on_cpu: bool = False

    def __post_init__(self):
        _at_least(self, 0, 'weight_decay', 'save_summaries_secs', 'save_interval_secs', 'eval_every',
                  'max_skipped_steps', 'summarize_images')
        _at_least(self, 1, 'max_number_of_steps', 'log_every_n_steps', 'gradient_accumulation')
        _above_0(self, 'max_number_of_epochs', 'clip_gradient_norm')
        _one_of(self, 'mixed_precision', (None, 'float16', 'bfloat16'))
        _one_of(self, 'nan_policy', ('stop', 'skip'))
        _check_recompute(self)
        if self.max_number_of_steps is not None and self.max_number_of_epochs is not None:
            raise ValueError('Give max_number_of_steps or max_number_of_epochs, not both; got '
                             f'{self.max_number_of_steps} and {self.max_number_of_epochs}.')
        _check_end(self)
        steps = self.profile_steps
        if steps and not (len(steps) == 2 and 1 <= steps[0] <= steps[1] and all(step == step // 1 for step in steps)):
            raise ValueError(f'profile_steps must be the first and the last step, such as 10,20; got {steps}.')
        micro_batch_size(self)
        _check_decay(self, 'moving_average_decay', 'batch_norm_decay')

    @property
    def title(self):
        """What is trained on what, as text."""
        return f'{self.model_name} on {self.data.dataset_name}/{self.data.dataset_split_name}'


@dataclasses.dataclass(frozen=True)
class TrainConfig(RunConfig):
    """The training of a classifier.

    Attributes:
        label_smoothing: Share of the label's weight that is spread over all classes, in [0, 1).
        mixup_alpha: Parameter of the beta distribution by which pairs of images are mixed; 0 for no mixup.
    """
    scores: ClassVar[dict[str, str]] = {'top_1': 'top-1 accuracy', 'top_5': 'top-5 accuracy'}

    data: DataConfig = DataConfig()
    label_smoothing: float = 0.0
    mixup_alpha: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        _at_least(self, 0, 'mixup_alpha')
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f'label_smoothing must be at least 0 and below 1; got {self.label_smoothing}.')


def micro_batch_size(config, num_workers=1):
    """Images that one worker takes at a time.

    Args:
        config: A `RunConfig`.
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
