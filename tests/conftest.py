"""Every test gets a fresh default graph, and what TensorFlow logs at start-up stays out of the output.

Sessions without a configuration of their own run graphs as they are built: for graphs as small as most here, the
optimiser of TensorFlow takes longer than what it optimises. It works in the sessions that the library opens for
training, evaluation and inference, which have configurations; in other processes; and in the modules that use the
fixture `optimised`, which compare with what other software computes.
"""

import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ.setdefault('CUDA_VISIBLE_DEVICES', '')
# The kernels that the golden results were computed with. Those of oneDNN round otherwise: in resnet_v2_152 the logits
# are then off by 4e-6 of their size instead of 2e-6, which the softmax of 1001 classes turns into 2.4e-5 and 4e-6.
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')

import golden
import pytest
import tensorflow.compat.v1 as tf


def _optimise(enabled):
    if not tf.__version__.startswith('1.'):  # whose sessions do not ask
        tf.config.optimizer.set_experimental_options({'disable_meta_optimizer': not enabled})


_optimise(False)


@pytest.fixture
def optimised():
    """Sessions optimise graphs, as those of users do."""
    _optimise(True)
    yield
    _optimise(False)


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
