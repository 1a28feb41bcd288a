"""The networks have as many parameters as their origins publish."""

import manifests
import numpy as np
import pytest

from nets import nets_factory

# Trainable parameters for 1000 classes, as torchvision 0.29 documents them (`num_params` of its weights). Those of
# slim's v1 and NVIDIA's are in the same layers.
TRAINABLE = {
    'resnet_v1_18': 11689512,
    'resnet_v1_34': 21797672,
    'resnet_v1_50': 25557032,
    'resnet_v1_101': 44549160,
    'resnet_v1_152': 60192808,
    'resnet_v15_18': 11689512,
    'resnet_v15_34': 21797672,
    'resnet_v15_50': 25557032,
    'resnet_v15_101': 44549160,
    'resnet_v15_152': 60192808,
    'resnet_nvidia_50': 25557032,
    'resnet_nvidia_50_2019': 25557032,
    'resnext_50_32x4d': 25028904,
    'resnext_101_32x8d': 88791336,
    'resnext_101_64x4d': 83455272,
    'wide_resnet_50_2': 68883240,
    'wide_resnet_101_2': 126886696,
    # Those of timm 1.0.
    'resnext_101_32x4d': 44177704,
    'se_resnext_50_32x4d': 27559896,
    'se_resnext_101_32x4d': 48955416,
    'resnext_nvidia_101_32x4d': 44177704,
    'se_resnext_nvidia_101_32x4d': 48955416,
}
# Keras counts moving averages, too: `count_params()` of Keras 3.15's applications, and for ResNeXt the README of
# keras-applications 1.0. Slim's ResNets v2 have what Keras' V2 have.
TOTAL = {
    'resnet_keras_50': 25636712,
    'resnet_keras_101': 44707176,
    'resnet_keras_152': 60419944,
    'resnet_keras_v2_50': 25613800,
    'resnet_keras_v2_101': 44675560,
    'resnet_keras_v2_152': 60380648,
    'resnet_v2_50': 25613800,
    'resnet_v2_101': 44675560,
    'resnet_v2_152': 60380648,
    'resnext_keras_50_32x4d': 25097128,
}
# He et al. 2015 (arXiv:1512.03385), table 6, in millions for 10 classes.
MILLIONS = {
    'resnet_cifar_20': '0.27',
    'resnet_cifar_32': '0.46',
    'resnet_cifar_44': '0.66',
    'resnet_cifar_56': '0.85',
    'resnet_cifar_110': '1.7',
}
# Ours, DeepLab's and the deepest of slim's, whose origins publish none.
UNPUBLISHED = {'resnet_v1_14', 'resnet_v1_200', 'resnet_v2_200', 'resnet_v1_18_beta', 'resnet_v1_50_beta',
               'resnet_v1_101_beta', 'resnet_small_18', 'resnet_small_34'}


def count(name, num_classes, trainable):
    """The number of parameters of a network: the trainable ones, or those and the moving averages.

    Read from the manifests, which test_manifests.py compares with the graphs.
    """
    with open(manifests.path_of(name), encoding='utf-8') as file:
        rows = [line.split() for line in file]
    shapes = [[num_classes if '/logits/' in variable and size == '1000' else int(size) for size in shape.split('x')]
              for variable, shape, kind in rows if not trainable or kind == 'trainable']
    return sum(int(np.prod(shape)) for shape in shapes)


@pytest.mark.parametrize('name', sorted(TRAINABLE))
def test_trainable_parameters_are_as_many_as_published(name):
    assert count(name, 1000, trainable=True) == TRAINABLE[name]


@pytest.mark.parametrize('name', sorted(TOTAL))
def test_all_parameters_are_as_many_as_published(name):
    assert count(name, 1000, trainable=False) == TOTAL[name]


@pytest.mark.parametrize('name', sorted(MILLIONS))
def test_parameters_are_as_many_as_in_the_paper(name):
    digits = len(MILLIONS[name].split('.')[1])
    assert '{:.{}f}'.format(count(name, 10, trainable=True) / 1e6, digits) == MILLIONS[name]


def test_every_network_is_counted_or_has_no_published_count():
    counted = [name for table in (TRAINABLE, TOTAL, MILLIONS) for name in table]
    assert len(counted) == len(set(counted))
    assert set(nets_factory.networks_map) - set(counted) == UNPUBLISHED
