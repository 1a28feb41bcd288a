"""NVIDIA's networks compute what TensorFlow 1.15's own layers made of them, with the weights of its checkpoints."""

import os

import golden
import narrow_rows
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tf_slim as slim
from goldens import fill

from nets import nets_factory, resnet
from nets.checkpoints import nvidia_names

pytestmark = pytest.mark.usefixtures('optimised')  # see conftest.py

SIZES = [tuple(size) for size in fill.load('nvidia')['sizes']]
# The largest difference to TensorFlow 1.15, over the root mean square of its tensor. TensorFlow 2.21 is off by up to
# 3e-6, TensorFlow 1.15 by nothing.
LIMIT = 1e-5


def build(name, images):
    """A narrow network with the weights of its checkpoint: logits and units by name, and a session."""
    row, columns = narrow_rows.NVIDIA[name]
    network = resnet.network('net', nets_factory.networks_map[row].layout._replace(**columns))
    with slim.arg_scope(network.arg_scope()):
        logits, end_points = network(images, num_classes=5, is_training=False)
    reader = tf.train.load_checkpoint(os.path.join(golden.FOLDER, 'nvidia', name + '.ckpt'))
    origin, scope = nvidia_names.find(reader.get_variable_to_shape_map())
    pairs = []
    for variable in tf.global_variables():
        ours = variable.op.name[len('net/'):]
        theirs = scope + nvidia_names.nvidia_name(ours, origin, grouped='resnext' in name)
        pairs.append((variable, nvidia_names.to_slim(ours, reader.get_tensor(theirs))))
    session = tf.Session()
    golden.assign(session, pairs)
    return dict({key[len('net/'):]: net for key, net in end_points.items()}, logits=logits), session


@pytest.mark.parametrize('name', list(narrow_rows.NVIDIA))
def test_units_and_logits_are_those_of_tensorflow_1(name):
    images = tf.placeholder(tf.float32, [None, None, None, 3])
    tensors, session = build(name, images)
    with session, np.load(os.path.join(golden.FOLDER, 'nvidia.npz')) as goldens:
        for size in SIZES:
            prefix = '{}/{}x{}/'.format(name, *size)
            expected = {key[len(prefix):]: goldens[key] for key in goldens.files if key.startswith(prefix)}
            assert len(expected) == 6
            actual = session.run({key: tensors[key] for key in expected}, {images: fill.images((2,) + size + (3,))})
            for key, array in expected.items():
                assert fill.compare_array(actual[key], array)['scaled'] < LIMIT, (size, key)
