"""A network that trains in no time, registered as `tiny`, and real image files for it.

Run as a script it is `train_image_classifier.py` or `eval_image_classifier.py` with that network added:

    python tiny_network.py train --model_name=tiny …
"""

import os
import sys
import types

import numpy as np

SIZE = 17
CLASSES = ('circle', 'cross', 'stripe')
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def register():
    """Adds the network `tiny`, two units of a residual network of version 1, to the factory."""
    from nets import nets_factory, resnet_v1
    if 'tiny' in nets_factory.NETWORKS:
        return

    def tiny(images, num_classes=None, is_training=True, scope='tiny', **kwargs):
        blocks = [resnet_v1.resnet_v1_block('block1', base_depth=2, num_units=1, stride=2),
                  resnet_v1.resnet_v1_block('block2', base_depth=4, num_units=1, stride=1)]
        return resnet_v1.resnet_v1(images, blocks, num_classes, is_training, scope=scope, **kwargs)

    tiny.default_image_size = SIZE
    nets_factory.NETWORKS['tiny'] = nets_factory.Network(
        tiny, resnet_v1.resnet_arg_scope, nets_factory.Preset(SIZE, 'digits', 0))


def task_of(network_fn, num_examples=10):
    """What `graph.build_train_graph` needs of a task."""
    return types.SimpleNamespace(network_fn=network_fn, dataset=types.SimpleNamespace(num_examples=num_examples))


def make_images(directory, per_class=8, seed=0):
    """Writes PNG files of three kinds of noisy drawings, one folder for each.

    Args:
        directory: Where to.
        per_class: Images of each class.
        seed: Of the noise.

    Returns:
        The directory, a str.
    """
    from nets.data import images
    rng = np.random.RandomState(seed)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    drawings = {'circle': np.abs(np.hypot(x, y) - 5) < 1.5, 'cross': (np.abs(x) < 2) | (np.abs(y) < 2),
                'stripe': x % 4 < 2}
    for name, drawing in drawings.items():
        os.makedirs(os.path.join(str(directory), name))
        for number in range(per_class):
            pixels = np.clip(drawing * 160 + rng.randint(0, 80, drawing.shape), 0, 255).astype(np.uint8)
            with open(os.path.join(str(directory), name, f'{number:03d}.png'), 'wb') as file:
                file.write(images.encode_grey_png(pixels))
    return str(directory)


def main():
    """Runs the command that the first argument names."""
    sys.path.insert(0, ROOT)
    command = sys.argv.pop(1)
    from nets.cli import common, evaluate, train
    load_tensorflow = common.load_tensorflow

    def load():
        load_tensorflow()
        register()

    common.load_tensorflow = load
    sys.exit({'train': train, 'eval': evaluate}[command].main())


if __name__ == '__main__':
    main()
