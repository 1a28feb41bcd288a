"""Frozen parts compute and stay what they are; the rest trains."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tiny_network

from nets import nets_factory
from nets.training import config, freezing, graph

IMAGES = np.random.RandomState(0).randn(4, 17, 17, 3).astype(np.float32) * 3


def _build(network, scopes, is_training=None):
    mode = freezing.training_mode(scopes) if is_training is None else is_training
    return nets_factory.get_network_fn(network, 3, is_training=mode)(tf.constant(IMAGES))


def _updated_scopes():
    return {operation.name.split('/BatchNorm/')[0].rsplit('/AssignMoving')[0]
            for operation in tf.get_collection(tf.GraphKeys.UPDATE_OPS)}


def test_without_scopes_everything_trains():
    assert freezing.training_mode(['', ' ']) is True
    variables = [tf.get_variable('a/w', [1])]
    assert freezing.trainable_variables(variables, []) == variables


def test_statistics_move_in_trainable_scopes_only():
    tiny_network.register()
    _build('tiny', ['tiny/block2', 'tiny/logits'])
    scopes = _updated_scopes()
    assert scopes
    assert all(scope.startswith('tiny/block2/') for scope in scopes)
    # Projection shortcut and three convolutions, mean and variance each.
    assert len(tf.get_collection(tf.GraphKeys.UPDATE_OPS)) == 8


def test_frozen_scopes_are_taken_from_the_trainable_ones():
    names = ['net/conv1/weights', 'net/block1/conv1/weights', 'net/block1/conv1/BatchNorm/gamma', 'net/logits/weights']
    variables = [tf.get_variable(name, [1]) for name in names]

    def chosen(scopes, frozen):
        return [one.op.name for one in freezing.trainable_variables(variables, scopes, frozen)]

    assert chosen([], ['net/conv1', ' net/block1/ ']) == names[3:]
    assert chosen(['net/block1', 'net/logits'], ['net/block1/conv1/BatchNorm']) == [names[1], names[3]]
    with pytest.raises(ValueError, match='--trainable_scopes=net/conv1 and --freeze=net/conv1 leave nothing to train'):
        chosen(['net/conv1'], ['net/conv1'])
    with pytest.raises(ValueError, match="--freeze names 'net/conv'.*Did you mean: net/conv1"):
        chosen([], ['net/conv'])


def test_batch_norm_is_frozen_as_a_whole_or_not_at_all():
    assert not freezing.trains('net/block1/conv1/BatchNorm', (), ('net/block1',))
    assert not freezing.trains('net/block1/conv1/BatchNorm', ('net/block1',), ('net/block1/conv1',))
    assert freezing.trains('net/block10/conv1/BatchNorm', (), ('net/block1',))
    assert freezing.trains('net/block1/conv1/BatchNorm', (), ('net/block1/conv1/BatchNorm/gamma',))
    assert not freezing.trains('net/block2/conv1/BatchNorm', ('net/block1',), ('net/conv1',))


def test_similar_scope_names_are_told_apart():
    assert freezing.trains('net/block1/unit_1/BatchNorm', ['net/block1'])
    assert not freezing.trains('net/block10/unit_1/BatchNorm', ['net/block1'])
    assert freezing.trains('net/conv1/BatchNorm', ['net/conv1/BatchNorm/gamma'])


@pytest.mark.parametrize('scopes', [['tiny/logits'], ['tiny/block2', 'tiny/logits']])
def test_frozen_part_equals_inference_and_the_rest_equals_training(scopes):
    tiny_network.register()
    results = {}
    for kind, is_training in (('mixed', None), ('inference', False), ('training', True)):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(1)
            _, end_points = _build('tiny', scopes, is_training)
            session.run(tf.global_variables_initializer())
            for number, variable in enumerate(tf.global_variables()):
                rng = np.random.RandomState(number)
                variable.load(rng.uniform(0.5, 1, variable.shape.as_list()).astype(np.float32), session)
            results[kind] = session.run(end_points)
    frozen = 'tiny/block1'
    np.testing.assert_array_equal(results['mixed'][frozen], results['inference'][frozen])
    assert np.abs(results['training'][frozen] - results['inference'][frozen]).max() > 0.1
    block2 = {kind: results[kind]['tiny/block2'] for kind in results}
    same_as_inference = np.array_equal(block2['mixed'], block2['inference'])
    assert same_as_inference == ('tiny/block2' not in scopes)


@pytest.mark.parametrize('tune', [
    config.FineTuneConfig(trainable_scopes=('tiny/block2', 'tiny/logits')),
    config.FineTuneConfig(freeze=('tiny/conv1', 'tiny/block1'))])
@pytest.mark.parametrize('optimizer', ['sgd', 'adamw'])
def test_steps_leave_everything_outside_of_the_scopes_as_it_was(tune, optimizer):
    tiny_network.register()
    settings = config.TrainConfig(
        fine_tune=tune, optimizer=config.OptimizerConfig(optimizer=optimizer),
        schedule=config.ScheduleConfig(learning_rate=0.1))
    mode = freezing.training_mode(tune.trainable_scopes, tune.freeze)
    network_fn = nets_factory.get_network_fn('tiny', 3, is_training=mode)
    built = graph.build_train_graph(settings, tiny_network.task_of(network_fn), {
        'image': tf.constant(IMAGES), 'label': tf.constant([0, 1, 2, 0])})
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        before = session.run(tf.model_variables())
        for _ in range(3):
            session.run(built.train_op)
        after = session.run(tf.model_variables())
    changed = {variable.op.name for variable, old, new in zip(tf.model_variables(), before, after,
                                                              strict=True)
               if not np.array_equal(old, new)}
    assert changed
    assert all(name.startswith(('tiny/block2', 'tiny/logits')) for name in changed)
    assert any('/moving_mean' in name for name in changed)


def test_scope_that_matches_nothing_is_an_error():
    variables = [tf.get_variable('net/logits/weights', [1])]
    with pytest.raises(ValueError, match=r"--trainable_scopes names 'logits'.*Did you mean: net/logits\."):
        freezing.trainable_variables(variables, ['logits'])
