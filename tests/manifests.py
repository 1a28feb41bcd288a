"""The variables of every network with 1000 classes, one a line, as its checkpoints have them.

    python tests/manifests.py    # writes goldens/manifests anew
"""

import os

import tensorflow.compat.v1 as tf

from nets import nets_factory

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'goldens', 'manifests')


def path_of(name):
    return os.path.join(FOLDER, name + '.txt')


def stand_in(getter, name, shape, dtype, **kwargs):
    """A custom getter: a placeholder in place of a variable, which takes ten times as long to make.

    Most of the time of building a network goes into its variables; all else is the same with placeholders.
    """
    del getter, kwargs
    with tf.name_scope(None):
        return tf.placeholder(dtype, shape, name)


def manifest(name):
    """Name and shape of each variable, in the order of their creation, and `trainable` or `fixed`."""
    lines = []

    def record(getter, name, shape, dtype, trainable, **kwargs):
        lines.append('{} {} {}\n'.format(name, 'x'.join(map(str, shape)), 'trainable' if trainable else 'fixed'))
        return stand_in(getter, name, shape, dtype)

    with tf.Graph().as_default(), tf.variable_scope(tf.get_variable_scope(), custom_getter=record):
        network_fn = nets_factory.get_network_fn(name, 1000)
        size = network_fn.default_image_size
        network_fn(tf.placeholder(tf.float32, [1, size, size, 3]))
    return ''.join(lines)


def main():
    os.makedirs(FOLDER, exist_ok=True)
    for name in nets_factory.NETWORKS:
        with open(path_of(name), 'w', encoding='utf-8') as file:
            file.write(manifest(name))


if __name__ == '__main__':
    main()
