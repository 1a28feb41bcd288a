"""Scopes that differ: found where one rename brings all, given otherwise, and never guessed."""

import logging

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from test_restore import _save, _variables

from nets.checkpoints import renames, restore

NET = ['resnet/conv1/weights', 'resnet/conv1/BatchNorm/beta', 'resnet/logits/weights']
OTHER = ['a/weights', 'conv1/weights', 'loss_scale']


def _held(names, directory):
    """A checkpoint in which each name has another value."""
    return _save(directory, {name: np.full(2, number, np.float32) for number, name in enumerate(names)})


def _restored(path, names, **kwargs):
    """What each variable has after restoring; 7 where it keeps its own."""
    with tf.Graph().as_default(), tf.Session() as session:
        variables = _variables({name: [2] for name in names})
        load = restore.restore_fn(path, variables, **kwargs)
        session.run(tf.global_variables_initializer())
        load(session)
        return load, [value[0] for value in session.run(variables)]


@pytest.mark.parametrize(('theirs', 'ours'), [
    ('', ''), ('FeatureExtractor/', ''), ('tower_0/', ''), ('a/b/c/', ''), ('', 'model/'), ('', 'model/inner/'),
    ('model/', 'model/')])
def test_the_scope_around_a_network_is_found(ours, theirs, tmp_path):
    path = _held(OTHER + [theirs + name for name in NET], tmp_path)
    load, values = _restored(path, [ours + name for name in NET])
    assert values == [3, 4, 5]
    assert load.renames == ([] if ours == theirs else [(theirs.rstrip('/'), ours.rstrip('/'))])
    assert load.unused == sorted(OTHER)


@pytest.mark.parametrize('exclude_scopes', [[], ['resnet/logits'], ['resnet/conv1']])
def test_a_scope_is_never_replaced_unasked(exclude_scopes, tmp_path):
    path = _held(['tower_0/' + name.replace('resnet', 'resnext') for name in NET], tmp_path)
    for outer in ('', 'tower_0/', 'model/'):
        with pytest.raises(ValueError, match='does not fit the model'):
            _restored(path, [outer + name for name in NET], exclude_scopes=[outer + scope for scope in exclude_scopes])


def test_what_was_found_is_said(tmp_path, caplog):
    path = _held(['tower_0/' + name for name in NET], tmp_path)
    with caplog.at_level(logging.INFO):
        _restored(path, NET)
    assert "reading with the rename 'tower_0='" in caplog.text


def test_a_network_never_gets_the_weights_of_another_scope_unasked(tmp_path):
    path = _held([name.replace('resnet', 'resnext') for name in NET], tmp_path)
    with pytest.raises(ValueError, match='another network'):
        _restored(path, NET)
    assert _restored(path, NET, renames=['resnext=resnet'])[1] == [0, 1, 2]


def test_names_as_they_are_come_before_renamed_ones(tmp_path):
    path = _held(['tower_0/' + name for name in NET] + NET, tmp_path)
    assert _restored(path, NET)[1] == [3, 4, 5]


def test_several_scopes_that_fit_need_a_choice(tmp_path):
    path = _held([tower + name for tower in ('tower_0/', 'tower_1/') for name in NET], tmp_path)
    with pytest.raises(ValueError, match="2 times.*'tower_0=', 'tower_1='"):
        _restored(path, NET)
    assert _restored(path, NET, renames={'tower_1': ''})[1] == [3, 4, 5]


def test_part_of_the_names_in_another_scope_needs_permission(tmp_path):
    path = _held(['FeatureExtractor/' + name for name in NET[:2]], tmp_path)
    with pytest.raises(ValueError, match='3 missing'):
        _restored(path, NET)
    load, values = _restored(path, NET, ignore_missing=True)
    assert values == [0, 1, 7]
    assert load.missing == NET[2:]
    load, values = _restored(path, NET, exclude_scopes=['resnet/logits'])
    assert values == [0, 1, 7]
    assert load.excluded == NET[2:]


def test_averages_are_found_in_another_scope_too(tmp_path):
    ending = restore.AVERAGE_SUFFIX
    path = _held(['tower_0/' + name + end for name in NET for end in ('', ending)], tmp_path)
    assert _restored(path, NET, moving_averages=True)[1] == [1, 3, 5]


def test_other_shapes_in_another_scope_are_told_as_such(tmp_path):
    path = _save(tmp_path, {'tower_0/net/a': np.zeros(2, np.float32), 'tower_0/net/logits/biases':
                            np.zeros(1001, np.float32)})
    variables = _variables({'net/a': [2], 'net/logits/biases': [1000]})
    with pytest.raises(ValueError, match='0 missing, 1 of another shape') as error:
        restore.restore_fn(path, variables)
    for text in ("renamed: 'tower_0='", '1001 in the checkpoint, 1000 in the model', 'label offset 1',
                 'num_classes=1001'):
        assert text in str(error.value)


@pytest.mark.parametrize('given', [{'x/resnet': 'resnet'}, ['x/resnet=resnet'], 'x/resnet/=/resnet', [' x = ']])
def test_renames_may_be_a_dict_or_texts(given, tmp_path):
    path = _held(['x/' + name for name in NET], tmp_path)
    assert _restored(path, NET, renames=given)[1] == [0, 1, 2]


def test_a_given_rename_wins_over_names_that_are_there(tmp_path):
    path = _held(NET + ['x/' + name for name in NET], tmp_path)
    load, values = _restored(path, NET, renames=['x='])
    assert values == [3, 4, 5]
    assert load.unused == sorted(NET)


def test_the_longest_scope_is_renamed():
    renamed = renames.apply([('a', 'x'), ('a/b', 'y')], ['a/w', 'a/b/w', 'ab/w'])
    assert dict(renamed) == {'x/w': 'a/w', 'y/w': 'a/b/w', 'ab/w': 'ab/w'}


@pytest.mark.parametrize(('given', 'message'), [
    (['resne=net'], "'resne='?.*matches nothing in the checkpoint.*Did you mean: resnet"),
    (['conv1=net'], 'Did you mean: resnet/conv1'),
    (['resnet'], "got 'resnet'"),
    (['a=b=c'], "got 'a=b=c'"),
    (['resnet=resnet'], 'to another one'),
    (['resnet=a', 'resnet=b'], 'renamed once'),
    ({'resnet/conv1': 'x', 'resnet/logits': 'x'}, "make one name, 'x/weights', of 'resnet/conv1/weights'"),
])
def test_renames_that_cannot_be_are_errors(given, message):
    with pytest.raises(ValueError, match=message):
        renames.apply(renames.parse(given), NET)


@pytest.mark.skipif(tf.__version__ < '2', reason='TensorFlow 2 writes such files')
def test_checkpoints_of_objects_are_read_by_the_names_of_their_variables(tmp_path):
    with tf.Graph().as_default(), tf.Session() as session:
        variable = tf.get_variable('resnet/w', initializer=tf.constant([3.0, 4.0]), use_resource=True)
        session.run(variable.initializer)
        path = tf.train.Checkpoint(inner=variable).save(str(tmp_path / 'objects'), session=session)
    assert 'inner/.ATTRIBUTES/VARIABLE_VALUE' in restore.read_shapes(path)
    assert _restored(path, ['resnet/w'])[1] == [3]
