"""Checkpoints that several tests read and none changes."""

import narrow_networks
import pytest


@pytest.fixture(scope='session')
def saved(tmp_path_factory):
    """`narrow_networks.save` of a short network, once for each: prefix and values of the end points for `BATCHES`."""
    made = {}

    def save(name, num_classes=3, **kwargs):
        key = name, num_classes, tuple(kwargs.items())
        if key not in made:
            with pytest.MonkeyPatch.context() as patch:
                narrow_networks.register(patch, name)
                made[key] = narrow_networks.save(tmp_path_factory.mktemp(name), narrow_networks.BATCHES, num_classes,
                                                 **kwargs)
        return made[key]

    return save
