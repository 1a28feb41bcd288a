"""Training that computes activations again takes the steps that it takes without."""

import numpy as np
import pytest
import steps
import tensorflow.compat.v1 as tf
import tf_slim as slim

from nets import resnet_v1
from nets.training import config, freezing

FULL = {'clip_gradient_norm': 0.5, 'moving_average_decay': 0.9, 'nan_policy': 'skip', 'weight_decay': 1e-2}
FROZEN = 'net/block1'


def network(images, is_training=True, weight_decay=0.0):
    """Two blocks of two units."""
    blocks = [resnet_v1.resnet_v1_block(f'block{i}', 4, 2, 2) for i in (1, 2)]
    with slim.arg_scope(resnet_v1.resnet_arg_scope(weight_decay, batch_norm_decay=0.5)):
        return resnet_v1.resnet_v1(images, blocks, steps.CLASSES, is_training, include_root_block=False, scope='net')


def trained(recompute, gradient_accumulation=1, is_training=True, reduce=None, **values):
    """Metrics of three steps, all variables after them, and the names of what is computed again."""
    with tf.Graph().as_default() as graph:
        settings = steps.settings(batch_size=8, recompute=recompute, gradient_accumulation=gradient_accumulation,
                                  **values)
        one = steps.Steps(settings, is_training, reduce=reduce)
        metrics = []
        for step in range(3):
            images, labels = steps.examples(8, step)
            *first, last = zip(*(np.split(part, gradient_accumulation) for part in (images, labels)), strict=True)
            for part in first:
                one.accumulate(*part)
            metrics.append(one.take(*last))
        return metrics, one.variables(), [op.name for op in graph.get_operations() if op.name.startswith('recompute/')]


@pytest.mark.parametrize(('every', 'values'), [
    ('unit', FULL), ('block', dict(FULL, gradient_accumulation=2, mixup_alpha=0.4)),
    ('unit', {'mixed_precision': 'float16', 'gradient_accumulation': 2, 'optimizer': 'adamw'}),
    ('2', {'mixed_precision': 'bfloat16', 'reduce': lambda tensors: [2 * tensor for tensor in tensors]}),
    ('unit', {'fine_tune': config.FineTuneConfig(freeze=(FROZEN,)),
              'is_training': freezing.training_mode((), (FROZEN,))}),
], ids=['full', 'micro-batches', 'float16', 'reduced bfloat16', 'frozen'])
def test_steps_are_equal(every, values, monkeypatch):
    monkeypatch.setattr(steps, 'network', network)
    metrics, variables, nothing = trained('none', **values)
    others, other_variables, again = trained(every, **values)
    assert not nothing
    assert len(again) > 20
    frozen = [name for name in again if name.startswith(f'recompute/{FROZEN}/') and not name.endswith('/kept')]
    assert bool(frozen) == ('fine_tune' not in values)  # nothing asks for what is in there
    assert others == metrics
    assert set(other_variables) == set(variables)
    for name, value in variables.items():
        np.testing.assert_array_equal(other_variables[name], value, name)


def test_what_cannot_be_is_an_error():
    for every in ('units', '0', '-1', ''):
        with pytest.raises(ValueError, match=f"recompute must be none, unit, block or a number .*; got '{every}'"):
            steps.settings(recompute=every)
    with pytest.raises(ValueError, match='recompute=2 takes no less memory with xla'):
        steps.settings(recompute='2', xla=True)
