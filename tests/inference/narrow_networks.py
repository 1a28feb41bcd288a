"""Every network of the family, narrow and short, with a checkpoint and what a plain session makes of some images."""

import contextlib

import golden
import numpy as np
import tensorflow.compat.v1 as tf
from goldens import fill
from narrow_rows import narrow

from nets import nets_factory, resnet
from nets.inference import fold

# One name for each layout that differs in more than its numbers of units and widths.
NAMES = sorted({repr(narrow(name)): name for name in reversed(nets_factory.NETWORKS)}.values())
BATCHES = [fill.images((2, height, width, 3), 7) for height, width in ((32, 32), (33, 49))]


def short(name):
    """A network's layout with few channels, and two units in the second block only."""
    layout = narrow(name)
    return layout._replace(num_units=(1, 2) + (1,) * (len(layout.num_units) - 2))


def register(monkeypatch, name):
    """Puts the short network into the factory, as `small`."""
    small = resnet.network('small', short(name))
    monkeypatch.setitem(nets_factory.NETWORKS, 'small', nets_factory.Network(
        small, small.arg_scope, nets_factory.NETWORKS[name].preset))


@contextlib.contextmanager
def plain(num_classes=3, **kwargs):
    """A plain session on the network with golden values, its placeholder, and its end points."""
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, None, None, 3])
        _, end_points = nets_factory.get_network_fn('small', num_classes)(images, **kwargs)
        golden.fill_variables(session)
        yield session, images, end_points


def save(path, batches, num_classes=3, **kwargs):
    """Writes a checkpoint, and runs the network on batches of images in a plain session.

    Returns:
        The checkpoint's prefix, and the end points' values for each batch.
    """
    with plain(num_classes, **kwargs) as (session, images, end_points):
        prefix = tf.train.Saver(tf.global_variables()).save(session, str(path / 'model.ckpt'))
        return prefix, [session.run(end_points, {images: batch}) for batch in batches]


def run(prefix, batches, num_classes=3, end_points=None, **kwargs):
    session, placeholder, tensors = fold.folded_session('small', prefix, end_points, num_classes, **kwargs)
    with session:
        return [session.run(tensors, {placeholder: images}) for images in batches]


def relative(actual, expected):
    """The largest difference over the largest value, of all end points of all batches."""
    differences = []
    for one, other in zip(actual, expected):
        assert list(one) == list(other)
        differences += [np.abs(one[name] - other[name]).max() / np.abs(other[name]).max() for name in other]
    return max(differences)
