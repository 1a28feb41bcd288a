"""Groups of settings for segmentation, by name; see `nets.training.recipes`. TensorFlow is not imported here."""

from nets.training.recipes import Recipe

RECIPES = {
    # The decay of batch normalisation's averages is DeepLab's if it is None; see `nets.dense.model`.
    'deeplab': Recipe(
        'Chen et al., "Encoder-Decoder with Atrous Separable Convolution", 2018 (arXiv:1802.02611), section 4, and the '
        'flags of train.py in tensorflow/models/research/deeplab/g3doc/pascal.md',
        {'model_name': 'resnet_v1_50_beta', 'model.head': 'deeplab_v3plus', 'model.output_stride': 16,
         'model.multi_grid': (1, 2, 4), 'model.atrous_rates': (6, 12, 18), 'model.decoder_output_stride': (4,),
         'model.depth_multiplier': 1.0, 'model.head_options': (),
         'data.crop_size': (513,), 'data.batch_size': 16, 'data.min_scale_factor': 0.5, 'data.max_scale_factor': 2.0,
         'data.scale_factor_step_size': 0.25, 'max_number_of_steps': 30000, 'optimizer.optimizer': 'momentum',
         'optimizer.momentum': 0.9, 'weight_decay': 0.0001, 'batch_norm_decay': None,
         'schedule.learning_rate_decay_type': 'poly', 'schedule.learning_power': 0.9,
         'schedule.learning_rate': 0.007, 'schedule.end_learning_rate': 0.0}),
}
