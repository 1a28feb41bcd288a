"""A tiny network for inference with a checkpoint, registered as `tiny_inference`, and folders of real images."""

import io
import os
import resource
import sys
import threading

import numpy as np
import tensorflow.compat.v1 as tf
import tqdm
from PIL import Image

from nets import nets_factory, resnet
from nets.cli import main

NAME = 'tiny_inference'
SIZE = 32
NUM_CLASSES = 5
_LAYOUT = resnet.Layout('bottleneck', num_units=(1, 2), depths=(4, 8), root='small', strided_unit='first')
BUILDER = resnet.network(NAME, _LAYOUT, default_image_size=SIZE)
NETWORK = nets_factory.Network(BUILDER, BUILDER.arg_scope, nets_factory.Preset(SIZE, 'inception', 0))


def register():
    """Adds the network to the factory of this process."""
    nets_factory.NETWORKS[NAME] = NETWORK


def write_checkpoint(directory, num_classes=NUM_CLASSES, seed=0, name=NAME, factor=1):
    """Writes a checkpoint with random weights and statistics of batch norm; returns its prefix."""
    rng = np.random.RandomState(seed)
    with tf.Graph().as_default(), tf.Session() as session:
        nets_factory.get_network_fn(name, num_classes)(tf.placeholder(tf.float32, [None, SIZE, SIZE, 3]))
        values = {}
        for variable in tf.global_variables():
            shape = variable.shape.as_list()
            value = rng.uniform(0.5, 1.5, shape) if 'variance' in variable.op.name else rng.normal(0, 0.5, shape)
            values[variable.initializer.inputs[1]] = value * factor
        session.run(tf.global_variables_initializer(), values)
        return tf.train.Saver().save(session, os.path.join(str(directory), 'model.ckpt'), write_meta_graph=False)


def pixels(height, width, seed):
    """A smooth random image, uint8 `[height, width, 3]`."""
    rng = np.random.RandomState(seed)
    small = Image.fromarray(rng.randint(0, 256, (4, 5, 3)).astype(np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def encode(image, image_format='PNG', **options):
    """The bytes of an image file of an array or PIL image."""
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def write_images(directory, count, height=34, width=40):
    """Writes that many small PNG files and returns their paths, sorted."""
    directory = str(directory)
    os.makedirs(directory, exist_ok=True)
    contents = [encode(pixels(height, width, seed)) for seed in range(min(count, 50))]
    paths = [os.path.join(directory, f'{number:05d}.png') for number in range(count)]
    for number, path in enumerate(paths):
        with open(path, 'wb') as file:
            file.write(contents[number * 7 % len(contents)])
    return paths


def command(arguments, log):
    """Runs the command `nets` with the network, in a process of its own; returns nothing.

    Args:
        arguments: the command line.
        log: path of a file that gets what is printed, and at the end the exit code and the largest memory in KiB.
    """
    with open(log, 'w') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.stdout = os.fdopen(1, 'w', closefd=False)  # the old one may hold what it was before for seekable
        register()
        tqdm.tqdm.set_lock(threading.RLock())  # its own one of processes would outlive a kill
        code = main.main(arguments)
        print(f'exit code {code}, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss} KiB', flush=True)
    sys.exit(code)
