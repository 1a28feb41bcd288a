"""What the training, evaluation and prediction of segmentation are told; see `nets.training.config`.

The defaults suit the embedded data set `shapes` and a narrow network, which take minutes on a processor; those of
DeepLab are the recipe `deeplab`. TensorFlow is not imported here.
"""

import dataclasses
import math
from typing import ClassVar

from nets.training.config import BatchConfig, OptimizerConfig, RunConfig, ScheduleConfig

DEFAULT_DIR = 'segmentation'


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network; `model_name` of the run is its backbone.

    Attributes:
        head: A key of `nets.dense.heads.HEADS`.
        output_stride: Stride of the backbone's features.
        multi_grid: Rates of the units of the backbone's last block; empty for 1 each.
        depth_multiplier: Factor of the backbone's depths.
        min_base_depth: The least base depth of its blocks; None for the network's own.
        atrous_rates: Rates of the head's convolutions; empty for those of the paper.
        decoder_output_stride: Strides of the features that the decoder adds; empty for the head's own.
        head_options: Other options of the head, texts `option=value`; see `nets.dense.options`.
        fine_tune_batch_norm: Whether batch normalisation is trained; if not, its averages are used as they are.
    """
    head: str = 'deeplab_v3plus'
    output_stride: int = 8
    multi_grid: tuple[int, ...] = ()
    depth_multiplier: float = 0.25
    min_base_depth: int | None = None
    atrous_rates: tuple[int, ...] = (2, 4)
    decoder_output_stride: tuple[int, ...] = ()
    head_options: tuple[str, ...] = ('depth=64', 'decoder_depth=64', 'projection_depth=32', 'keep_prob=1')
    fine_tune_batch_norm: bool = True


@dataclasses.dataclass(frozen=True)
class DataConfig(BatchConfig):
    """Which data set of `nets.data.segmentation.datasets`, and how its images are changed.

    Attributes:
        file_pattern, num_classes, ignore_label: See `nets.data.segmentation.datasets.get_dataset`.
        preprocessing_name: A preset of `nets.data.preprocessing` whose constants the pixels are standardised by; None
            for that of the initial weights, or else the network's.
        crop_size: Height and width in pixels of what is trained on, one number or two.
        min_scale_factor, max_scale_factor, scale_factor_step_size: By what images are scaled in training; a step of 0
            for any factor in between.
        flip: Whether half of the images are mirrored in training.
    """
    dataset_name: str = 'shapes'
    batch_size: int = 8
    file_pattern: str | None = None
    num_classes: int | None = None
    ignore_label: int | None = None
    preprocessing_name: str | None = None
    crop_size: tuple[int, ...] = (97,)
    min_scale_factor: float = 0.75
    max_scale_factor: float = 1.25
    scale_factor_step_size: float = 0.0
    flip: bool = True

    def __post_init__(self):
        super().__post_init__()
        if len(self.crop_size) not in (1, 2) or min(self.crop_size) < 1:
            raise ValueError('train_crop_size must be a number of pixels, or height and width; got '
                             f'{",".join(map(str, self.crop_size))}.')
        if not 0 < self.min_scale_factor <= self.max_scale_factor < math.inf:
            raise ValueError('min_scale_factor must be above 0 and at most max_scale_factor; got '
                             f'{self.min_scale_factor} and {self.max_scale_factor}.')
        if not 0 <= self.scale_factor_step_size < math.inf:
            raise ValueError(f'scale_factor_step_size must be at least 0; got {self.scale_factor_step_size}.')


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """See `nets.segmentation.losses.segmentation_losses`; `class_weights` may be empty, for 1 each."""
    class_weights: tuple[float, ...] = ()
    top_k_percent_pixels: float = 1.0
    hard_example_mining_step: int = 0


@dataclasses.dataclass(frozen=True)
class TrainConfig(RunConfig):
    """The training of a segmentation."""
    scores: ClassVar[dict[str, str]] = {'mean_iou': 'mean IoU', 'pixel_accuracy': 'pixel accuracy'}

    train_dir: str = DEFAULT_DIR
    model_name: str = 'resnet_v1_18_beta'
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig(optimizer='momentum')
    schedule: ScheduleConfig = ScheduleConfig(
        learning_rate_decay_type='poly', learning_rate=0.1, end_learning_rate=0.0, learning_power=0.9)
    batch_norm_decay: float | None = 0.95
    max_number_of_steps: int | None = 1500

    @property
    def title(self):
        """What is trained on what, as text."""
        return f'{self.model.head} on {super().title}'


@dataclasses.dataclass(frozen=True)
class InferenceConfig:
    """How the classes of an image's pixels are found.

    Attributes:
        checkpoint_path: A checkpoint, or a directory whose newest one is taken, with the file that training wrote.
        scales: Factors of the image's size; the probabilities that they give are averaged.
        flip: Whether the mirrored image is averaged, too.
        tile_size: Pixels of the height and width of tiles; None for images in one piece.
        moving_average_decay: Anything but None: read the moving averages.
        clone_on_cpu: Whether to leave accelerators alone.
    """
    checkpoint_path: str = DEFAULT_DIR
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    tile_size: int | None = None
    moving_average_decay: float | None = None
    clone_on_cpu: bool = False

    def __post_init__(self):
        if not self.scales or not all(0 < scale < math.inf for scale in self.scales):
            raise ValueError(f'scales must be factors above 0, one at least; got {self.scales}.')
        if self.tile_size is not None and self.tile_size < 1:
            raise ValueError(f'tile_size must be at least 1 pixel; got {self.tile_size}.')
        if self.tile_size is not None and (self.flip or self.scales != (1.0,)):
            raise ValueError('tile_size goes with one scale of 1, and without flipping.')


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """An evaluation: every image once, at its own size.

    Attributes:
        eval_dir: Directory of `eval.json` and `report.html`; None for that of the checkpoint, `eval` in it.
        inference: How.
        data: Which images; nothing of it but the data set, the threads, and `skip_corrupt`, has an effect.
        max_num_images: Images to stop after; None for all.
    """
    inference: InferenceConfig = InferenceConfig()
    eval_dir: str | None = None
    data: DataConfig = DataConfig(dataset_split_name='validation')
    max_num_images: int | None = None

    def __post_init__(self):
        if self.max_num_images is not None and self.max_num_images < 1:
            raise ValueError(f'max_num_images must be at least 1; got {self.max_num_images}.')
