"""Restoring: what TensorFlow 1.15 wrote comes back exactly, and what does not fit is said in full."""

import os
import shutil

import golden
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from goldens import fill

from nets import error_text, resnet_utils
from nets.checkpoints import restore

NAMES = ('tiny_v1', 'tiny_v2')
FORMATS = ('', '_old')


def _path(name, suffix=''):
    return os.path.join(golden.FOLDER, 'checkpoints', name + suffix, 'model.ckpt-5')


def _case(stem, name):
    return next(case for case in fill.load_cases(stem) if case['name'] == name)


def _model_names(case):
    slots = ('/Momentum', '/ExponentialMovingAverage')
    return [name for name in case['variables'] if not name.endswith(slots) and name != 'global_step']


def _variables(shapes, trainable=True):
    """Variables full of 7, from a dict of shapes."""
    return [tf.get_variable(name, shape, initializer=tf.constant_initializer(7.0),
                            trainable=trainable and not name.rsplit('/', 1)[-1].startswith('moving_'))
            for name, shape in shapes.items()]


def _save(directory, values, name='model.ckpt', step=None):
    """Writes a checkpoint of the given arrays, in a graph of its own."""
    with tf.Graph().as_default(), tf.Session() as session:
        for key, value in values.items():
            tf.get_variable(key, initializer=tf.constant(value))
        session.run(tf.global_variables_initializer())
        return tf.train.Saver().save(session, os.path.join(str(directory), name), global_step=step,
                                     write_meta_graph=False)


def _values(session):
    return {variable.op.name: value for variable, value in
            zip(tf.global_variables(), session.run(tf.global_variables()))}  # noqa: B905  (Python 3.7)


@pytest.mark.parametrize('suffix', FORMATS)
@pytest.mark.parametrize('averages', [False, True])
@pytest.mark.parametrize('name', NAMES)
def test_every_tensor_of_tf1_comes_back_bit_by_bit(name, averages, suffix):
    case = _case('training', name)
    names = _model_names(case)
    variables = _variables({key: np.shape(case['variables'][key]) for key in names})
    load = restore.restore_fn(_path(name, suffix), variables, moving_averages=averages)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        load(session)
        values = _values(session)
    ending = '/ExponentialMovingAverage' if averages else ''
    assert len(load.restored) == len(names) > 60
    for key in names:
        np.testing.assert_array_equal(values[key], case['variables'][key + ending], err_msg=key)


@pytest.mark.parametrize('suffix', FORMATS)
@pytest.mark.parametrize('kind', ['variables', 'averages'])
@pytest.mark.parametrize('name', NAMES)
def test_restored_networks_compute_what_tf1_computed(name, kind, suffix):
    case, training = _case('checkpoints', name), _case('training', name)
    shape, seed = training['evaluate']['shape'], training['evaluate']['seed']
    builder = getattr(golden.module_of(training['net']), training['net'])
    with golden.slim.arg_scope(resnet_utils.resnet_arg_scope(**training['arg_scope'])):
        logits, end_points = builder(
            tf.constant(fill.images(shape, seed)), golden.blocks(training['net'], training['blocks']),
            training['num_classes'], is_training=False, scope=training['scope'])
    load = restore.restore_fn(os.path.dirname(_path(name, suffix)), tf.model_variables(),
                              moving_averages=kind == 'averages')
    expected = fill.end_points(case[kind])
    with tf.Session() as session:
        load(session)
        got, got_end_points = session.run((logits, end_points))
    assert fill.compare('output', got, case[kind]['logits'])['scaled'] < golden.INFERENCE_LIMIT
    common = [key for key in expected if key in got_end_points and got_end_points[key].ndim == 4
              and list(got_end_points[key].shape) == list(expected[key]['shape'])]
    assert len(common) > 15
    for key in common:
        assert fill.compare(key, got_end_points[key], expected[key])['scaled'] < golden.INFERENCE_LIMIT, key


def test_raw_weights_and_averages_differ_in_the_goldens():
    case = _case('training', 'tiny_v1')
    raw, average = (case['variables']['tiny_v1/logits/weights' + end]
                    for end in ('', '/ExponentialMovingAverage'))
    assert np.abs(raw - average).max() > 1e-3


def test_exclusion_matches_whole_components(tmp_path):
    shapes = {'net/block1/weights': [2], 'net/block1x/weights': [2], 'net/block1': [2],
              'other/net/block1/w': [2]}
    path = _save(tmp_path, {name: np.ones(2, np.float32) for name in shapes})
    load = restore.restore_fn(path, _variables(shapes), ['net/block1'])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        load(session)
        values = _values(session)
    assert load.excluded == ['net/block1/weights', 'net/block1']
    assert {name: value[0] for name, value in values.items()} == {
        'net/block1/weights': 7, 'net/block1x/weights': 1, 'net/block1': 7, 'other/net/block1/w': 1}


@pytest.mark.parametrize('scope', [' net/logits ', 'net/logits/', '/net/logits'])
def test_blanks_and_slashes_around_a_scope_do_not_matter(tmp_path, scope):
    path = _save(tmp_path, {'net/conv/w': np.ones(2, np.float32)})
    load = restore.restore_fn(path, _variables({'net/conv/w': [2], 'net/logits/w': [3]}), [scope, ''])
    assert load.excluded == ['net/logits/w']


def test_exclusion_that_matches_nothing_is_an_error_that_names_the_scope_meant(tmp_path):
    path = _save(tmp_path, {'net/conv/w': np.ones(2, np.float32)})
    variables = _variables({'net/conv/w': [2], 'net/logits/w': [2]})
    message = r"--checkpoint_exclude_scopes names 'logits'.*Did you mean: net/logits\."
    with pytest.raises(ValueError, match=message):
        restore.restore_fn(path, variables, ['logits'])


def test_one_error_lists_everything_that_differs(tmp_path):
    path = _save(tmp_path, {'net/a': np.ones(2, np.float32), 'net/extra': np.ones(2, np.float32),
                            'net/b': np.ones([2, 3], np.float32), 'net/t': np.ones(2, np.int32)})
    variables = _variables({'net/a': [2], 'net/b': [2, 4], 'net/c': [1], 'net/d': [1], 'net/t': [2]})
    with pytest.raises(ValueError, match='2 missing, 2 of another shape or type') as error:
        restore.restore_fn(path, variables)
    for line in ('Missing in the checkpoint (2):\n  net/c\n  net/d', 'net/b: float32 [2, 3] in the '
                 'checkpoint, float32 [2, 4] in the model', 'net/t: int32 [2] in the checkpoint, float32 [2] '
                                                            'in the model',
                 'not used (this alone is no error) (1):\n  net/extra', '--checkpoint_exclude_scopes', path):
        assert line in str(error.value)


def test_unused_names_alone_are_no_error(tmp_path):
    path = _save(tmp_path, {'net/a': np.ones(2, np.float32), 'net/extra': np.ones(2, np.float32)})
    assert restore.restore_fn(path, _variables({'net/a': [2]})).unused == ['net/extra']


def test_long_lists_are_cut_and_counted(tmp_path):
    path = _save(tmp_path, {'net/a': np.ones(2, np.float32)})
    variables = _variables({f'net/v{number:02d}': [1] for number in range(25)})
    with pytest.raises(ValueError, match='25 missing') as error:
        restore.restore_fn(path, variables)
    assert 'net/v19\n  … and 5 more' in str(error.value)
    assert 'net/v20' not in str(error.value)


def test_missing_variables_keep_their_values_by_permission_only(tmp_path):
    path = _save(tmp_path, {'net/a': np.ones(2, np.float32)})
    variables = _variables({'net/a': [2], 'net/b': [2]})
    with pytest.raises(ValueError, match='net/b'):
        restore.restore_fn(path, variables)
    load = restore.restore_fn(path, variables, ignore_missing=True)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        load(session)
        assert [list(value) for value in session.run(variables)] == [[1, 1], [7, 7]]
    assert load.missing == ['net/b']


@pytest.mark.parametrize('shapes', [{'net/a': [3], 'net/b': [2]}, {'other/a': [2]}])
def test_permission_covers_neither_other_shapes_nor_nothing_at_all(tmp_path, shapes):
    path = _save(tmp_path, {'net/a': np.ones(2, np.float32), 'net/b': np.ones(2, np.float32)})
    with pytest.raises(ValueError, match='does not fit the model'):
        restore.restore_fn(path, _variables(shapes), ignore_missing=True)


def test_a_dict_renames(tmp_path):
    path = _save(tmp_path, {'Extractor/net/a': np.full(2, 3, np.float32)})
    variable, = _variables({'net/a': [2]})
    load = restore.restore_fn(path, {'Extractor/net/a': variable})
    with tf.Session() as session:
        load(session)
        assert list(session.run(variable)) == [3, 3]


def test_averages_are_asked_for_trained_variables_and_optional_for_statistics(tmp_path):
    average = 'net/w/ExponentialMovingAverage'
    values = {'net/w': 1, average: 2, 'net/moving_mean': 3}
    path = _save(tmp_path, {name: np.full(2, value, np.float32) for name, value in values.items()})
    variables = _variables({'net/w': [2], 'net/moving_mean': [2]})
    load = restore.restore_fn(path, variables, moving_averages=True)
    with tf.Session() as session:
        load(session)
        assert [value[0] for value in session.run(variables)] == [2, 3]
    only_raw = _save(tmp_path / 'raw', {'net/w': np.ones(2, np.float32)})
    with pytest.raises(ValueError, match='holds no moving averages. Leave --moving_average_decay out'):
        restore.restore_fn(only_raw, variables[:1], moving_averages=True)


def test_directory_means_its_newest_checkpoint(tmp_path):
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.get_variable('global_step', initializer=tf.constant(3, tf.int64))
        session.run(step.initializer)
        saver = tf.train.Saver()
        for number in (3, 10, 7):
            saver.save(session, str(tmp_path / 'model.ckpt'), global_step=number)
    assert restore.find_checkpoint(str(tmp_path)) == str(tmp_path / 'model.ckpt-7')
    os.remove(str(tmp_path / 'checkpoint'))
    with pytest.raises(ValueError, match='3 checkpoints and no usable file named "checkpoint"'):
        restore.find_checkpoint(str(tmp_path))


def test_single_file_without_a_state_file_is_found_in_its_directory(tmp_path):
    shutil.copy(_path('tiny_v1', '_old'), str(tmp_path / 'resnet.ckpt'))
    assert restore.find_checkpoint(str(tmp_path)) == str(tmp_path / 'resnet.ckpt')
    assert restore.read_step(str(tmp_path / 'resnet.ckpt')) == 5


@pytest.mark.parametrize('ending', ['.index', '.data-00000-of-00001', ''])
def test_any_file_of_a_checkpoint_names_it(ending):
    assert restore.find_checkpoint(_path('tiny_v1') + ending) == _path('tiny_v1')


@pytest.mark.parametrize(('kind', 'message'), [
    ('nothing', 'There is no checkpoint at .*gone'),
    ('empty directory', 'holds no checkpoint'),
    ('only data', 'is incomplete: .*index is missing'),
    ('only index', 'cannot be read; it is damaged, incomplete'),
    ('state of a gone one', 'is gone'),
    ('text', 'cannot be read; it is damaged, incomplete, or no TensorFlow checkpoint'),
    ('empty file', 'cannot be read'),
])
def test_what_is_no_checkpoint_is_said_with_its_path(tmp_path, kind, message):
    path = str(tmp_path / 'gone')
    copy = str(tmp_path / 'model.ckpt-5')
    if kind == 'empty directory':
        path = str(tmp_path)
    elif kind == 'only data':
        path = copy + '.data-00000-of-00001'
        shutil.copy(_path('tiny_v1') + '.data-00000-of-00001', path)
    elif kind == 'only index':
        path = copy
        shutil.copy(_path('tiny_v1') + '.index', path + '.index')
    elif kind == 'state of a gone one':
        path = str(tmp_path)
        (tmp_path / 'checkpoint').write_text('model_checkpoint_path: "model.ckpt-9"\n')
    elif kind in ('text', 'empty file'):
        (tmp_path / 'gone').write_text('no checkpoint, ' * 40 if kind == 'text' else '')
    with pytest.raises(ValueError, match=message) as error:
        restore.restore_fn(path, _variables({'a': [1]}))
    assert str(tmp_path) in str(error.value)


def test_a_path_that_tensorflow_cannot_take_is_told():
    with pytest.raises(ValueError, match='is no text in UTF-8, which TensorFlow needs'):
        restore.find_checkpoint(os.fsdecode(b'/tmp/\xff.ckpt'))


@pytest.mark.parametrize(('head', 'kind'), [
    (b'\x89HDF\r\n\x1a\n\0', 'Keras'), (b'PK\x03\x04\0', 'torch'), (b'\x80\x02\x8a\x0a', 'torch'),
    (b'\x40\x02\0\0\0\0\0\0{"', 'safetensors')])
def test_weights_of_others_are_to_be_converted(tmp_path, head, kind):
    path = tmp_path / 'weights'
    path.write_bytes(head + bytes(100))
    with pytest.raises(ValueError, match='no checkpoint of TensorFlow but .*{}.* nets convert {} '.format(kind, path)):
        restore.find_checkpoint(str(path))


def test_loading_often_adds_nothing_to_the_graph(tmp_path):
    paths = [_save(tmp_path, {'a': np.float32([value]), 'b': np.float32([0.0])}, step=value) for value in (1, 2)]
    variables = _variables({'a': [1], 'b': [1]})
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        restore.restore_fn(paths[0], variables)(session)
        tf.get_default_graph().finalize()
        restore.restore_fn(paths[1], variables)(session)
        assert _values(session) == {'a': [2.0], 'b': [0.0]}
        with pytest.raises(RuntimeError, match='finalized'):
            restore.restore_fn(paths[1], {'b': variables[0]})


@pytest.mark.parametrize('share', [0.0, 0.3, 0.7])
@pytest.mark.parametrize('kind', ['index', 'data', 'old'])
def test_truncated_files_end_in_one_clear_error(tmp_path, kind, share):
    case = _case('training', 'tiny_v1')
    copy = str(tmp_path / 'model.ckpt-5')
    names = [''] if kind == 'old' else ['.index', '.data-00000-of-00001']
    for name in names:
        shutil.copy(_path('tiny_v1', '_old' if kind == 'old' else '') + name, copy + name)
    target = copy + {'index': '.index', 'data': '.data-00000-of-00001', 'old': ''}[kind]
    with open(target, 'r+b') as file:
        file.truncate(int(os.path.getsize(target) * share))
    variables = _variables({name: np.shape(case['variables'][name]) for name in _model_names(case)})
    with tf.Session() as session, pytest.raises(ValueError, match='cannot be read; it is damaged') as error:
        restore.restore_fn(copy, variables)(session)
    assert copy in str(error.value)


def test_read_step_of_a_checkpoint_without_one(tmp_path):
    for name in ('a', 'global_step'):
        assert restore.read_step(_save(tmp_path, {name: np.ones(2, np.float32)})) is None


@pytest.mark.parametrize(('message', 'line'), [
    ('Graph execution error:\n\nthe  disk is full', 'the disk is full'),
    ("Graph execution error:\n\nDetected at node 'save' defined at (most recent call last):\n  File 'x', line 1\n"
     "Node: 'save'\nNo space left on device\n\t [[{{node save}}]]", 'No space left on device'),
    ("Node: 'save'\nFrom /job:worker/replica:0/task:0:\nNo space left on device", 'No space left on device'),
    ('\n', 'nothing'),
])
def test_what_tensorflow_means_is_told(message, line):
    assert error_text.first_telling_line(message, 'nothing') == line
