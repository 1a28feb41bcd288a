"""The table of README: every network with its origin, size, cost, published accuracy and layout.

    python benchmarks/network_table.py
"""

import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import tensorflow.compat.v1 as tf

from nets import complexity, nets_factory

SLIM = 'slim'  # github.com/tensorflow/models, research/slim, README
TORCH = 'tv'  # docs.pytorch.org/vision, models and pre-trained weights, IMAGENET1K_V1
PAPER = 'paper'
NVIDIA = 'nvidia'  # README of DeepLearningExamples' models for TensorFlow 1, in float32: 90 epochs on 8 V100
KERAS = 'keras'  # keras.io/api/applications; for ResNeXt the README of keras-applications 1.0.8

# Origin and top-1 accuracy of each network in %, and who published it.
ORIGINS = {
    'resnet_v1_14': ('ours', None, ''),
    'resnet_v1_18': ('DeepLab', None, ''),
    'resnet_v1_34': ('DeepLab style', None, ''),
    'resnet_v1_50': ('slim', 75.2, SLIM),
    'resnet_v1_101': ('slim', 76.4, SLIM),
    'resnet_v1_152': ('slim', 76.8, SLIM),
    'resnet_v1_200': ('slim', None, ''),
    'resnet_v1_18_beta': ('DeepLab', None, ''),
    'resnet_v1_50_beta': ('DeepLab', None, ''),
    'resnet_v1_101_beta': ('DeepLab', None, ''),
    'resnet_v2_50': ('slim', 75.6, SLIM),
    'resnet_v2_101': ('slim', 77.0, SLIM),
    'resnet_v2_152': ('slim', 77.8, SLIM),
    'resnet_v2_200': ('slim', 79.9, SLIM),
    'resnet_v15_18': ('torchvision', 69.758, TORCH),
    'resnet_v15_34': ('torchvision', 73.314, TORCH),
    'resnet_v15_50': ('torchvision', 76.130, TORCH),
    'resnet_v15_101': ('torchvision', 77.374, TORCH),
    'resnet_v15_152': ('torchvision', 78.312, TORCH),
    'resnext_50_32x4d': ('torchvision', 77.618, TORCH),
    'resnext_101_32x4d': ('Xie et al. 2017', 78.8, PAPER),
    'resnext_101_32x8d': ('torchvision', 79.312, TORCH),
    'resnext_101_64x4d': ('torchvision', 83.246, TORCH),
    'se_resnext_50_32x4d': ('Hu et al. 2018, timm', 78.90, PAPER),
    'se_resnext_101_32x4d': ('Hu et al. 2018, timm', 79.30, PAPER),
    'wide_resnet_50_2': ('torchvision', 78.468, TORCH),
    'wide_resnet_101_2': ('torchvision', 78.848, TORCH),
    'resnet_cifar_20': ('He et al. 2015', 91.25, PAPER),
    'resnet_cifar_32': ('He et al. 2015', 92.49, PAPER),
    'resnet_cifar_44': ('He et al. 2015', 92.83, PAPER),
    'resnet_cifar_56': ('He et al. 2015', 93.03, PAPER),
    'resnet_cifar_110': ('He et al. 2015', 93.57, PAPER),
    'resnet_small_18': ('tutorials', None, ''),
    'resnet_small_34': ('tutorials', None, ''),
    'resnet_keras_50': ('Keras', 74.9, KERAS),
    'resnet_keras_101': ('Keras', 76.4, KERAS),
    'resnet_keras_152': ('Keras', 76.6, KERAS),
    'resnet_keras_v2_50': ('Keras', 76.0, KERAS),
    'resnet_keras_v2_101': ('Keras', 77.2, KERAS),
    'resnet_keras_v2_152': ('Keras', 78.0, KERAS),
    'resnext_keras_50_32x4d': ('Keras', 77.7, KERAS),
    'resnet_nvidia_50': ('NVIDIA', 77.01, NVIDIA),
    'resnet_nvidia_50_2019': ('NVIDIA', 76.26, NVIDIA),
    'resnext_nvidia_101_32x4d': ('NVIDIA', 79.35, NVIDIA),
    'se_resnext_nvidia_101_32x4d': ('NVIDIA', 79.69, NVIDIA),
}


def cost(name):
    """Parameters and multiply-adds, with 10 classes for networks of small images and 1000 for others."""
    with tf.Graph().as_default():
        network_fn = nets_factory.get_network_fn(name, 10 if small(name) else 1000)
        size = 32 if small(name) else 224
        network_fn(tf.placeholder(tf.float32, [1, size, size, 3]))
        return complexity.count()


def small(name):
    return nets_factory.networks_map[name].default_image_size == 32


def unit(layout):
    """Kind of the units, with groups, width and squeeze-and-excitation."""
    words = [layout.unit]
    if layout.cardinality > 1:
        words.append('{}x{}d'.format(layout.cardinality, layout.group_width))
    elif layout.group_width != 64:
        words.append('width {}'.format(layout.group_width))
    return ', '.join(words + (['SE 1/{:.0f}'.format(1 / layout.se_ratio)] if layout.se_ratio else []))


def main():
    print('| network | origin | parameters | GMAdds | top-1 | units | blocks | stride in | root | else |')
    print('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |')
    for name in nets_factory.NETWORKS:
        layout, (origin, top1, source) = nets_factory.networks_map[name].layout, ORIGINS[name]
        counted = cost(name)
        others = [text for text, applies in [
            ('biases', layout.conv_biases), ('epsilon {:g}'.format(layout.batch_norm_epsilon),
                                             layout.batch_norm_epsilon != 1e-5),
            ('root x {:g}'.format(layout.root_multiplier), layout.root_multiplier != 1),
            ('zero-padded shortcuts', layout.shortcut == 'zero_pad'),
            ('SAME padding', layout.padding == 'SAME')] if applies]
        print('| `{}` | {} | {:,} | {:.2f} | {} | {} | {} | {} {} | {} | {} |'.format(
            name, origin, counted.parameters, counted.multiply_adds / 1e9,
            '{:.1f} ({})'.format(top1, source) if top1 else '', unit(layout), '-'.join(map(str, layout.num_units)),
            layout.strided_unit, layout.strided_conv, layout.root, ', '.join(others)), flush=True)


if __name__ == '__main__':
    main()
