"""The variables of every network with 1000 classes, one a line, as its checkpoints have them.

    python tests/manifests.py    # writes goldens/manifests anew
"""

import os

import tensorflow.compat.v1 as tf

from nets import nets_factory

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'goldens', 'manifests')


def path_of(name):
    return os.path.join(FOLDER, name + '.txt')


def manifest(name):
    """Name and shape of each global variable, in the order of their creation, and `trainable` or `fixed`."""
    with tf.Graph().as_default():
        network_fn = nets_factory.get_network_fn(name, 1000)
        size = network_fn.default_image_size
        network_fn(tf.placeholder(tf.float32, [1, size, size, 3]))
        trainable = {variable.op.name for variable in tf.trainable_variables()}
        return ''.join('{} {} {}\n'.format(
            variable.op.name, 'x'.join(map(str, variable.shape.as_list())),
            'trainable' if variable.op.name in trainable else 'fixed') for variable in tf.global_variables())


def main():
    os.makedirs(FOLDER, exist_ok=True)
    for name in nets_factory.NETWORKS:
        with open(path_of(name), 'w', encoding='utf-8') as file:
            file.write(manifest(name))


if __name__ == '__main__':
    main()
