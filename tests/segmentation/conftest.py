"""The tiny network is in the factory, and a run of it is made once."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tiny_segmentation as tiny  # noqa: E402

from nets import nets_factory  # noqa: E402


@pytest.fixture(scope='session', autouse=True)
def _tiny():
    nets_factory.NETWORKS[tiny.NAME] = tiny.NETWORK
    yield
    del nets_factory.NETWORKS[tiny.NAME]


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
    """A finished run of 30 steps that was evaluated on the way: its configuration."""
    from nets.segmentation import problem
    from nets.training import loop
    settings = tiny.settings(tmp_path_factory.mktemp('trained'), max_number_of_steps=30, eval_every=30)
    loop.train(settings, problem.PROBLEM)
    return settings
