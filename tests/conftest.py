"""Every test gets a fresh default graph, and what TensorFlow logs at start-up stays out of the output."""

import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ.setdefault('CUDA_VISIBLE_DEVICES', '')
# The kernels that the golden results were computed with. Those of oneDNN round otherwise: in resnet_v2_152 the logits
# are then off by 4e-6 of their size instead of 2e-6, which the softmax of 1001 classes turns into 2.4e-5 and 4e-6.
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')

import golden
import pytest
import tensorflow.compat.v1 as tf


@pytest.fixture(autouse=True)
def _fresh_graph():
    with tf.Graph().as_default():
        yield


@pytest.fixture(scope='module')
def sessions():
    """Sessions that tests in a row share."""
    held = golden.Sessions()
    yield held
    held.close()
