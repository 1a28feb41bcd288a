"""The model object: batches, end points, summary, files, and what it leaves alone."""

import io
import os
import re
import subprocess
import sys
import textwrap

import keras_reference
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from application_cases import CLASSES, LIMIT, SIZE, SMALL, images_of, output_of, predict, tiny

from nets import complexity, nets_factory
from nets.checkpoints.writers import checkpoint

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope='module')
def model():
    with tiny(weights=None) as model:
        yield model


def test_features_are_those_of_keras_at_every_end_point_of_units(loaded):
    ours, theirs, _ = loaded
    images = images_of()
    assert ours.end_points[0] == 'small/conv1'
    assert ours.end_points[-1] == 'predictions'
    for end_point, layer in [('conv1', 'conv1_relu'), ('block1', 'conv2_block2_out'),
                             ('block2/unit_1/bottleneck_v1', 'conv3_block1_out'), ('block4', 'conv5_block2_out')]:
        expected = output_of(theirs, layer, images)
        assert keras_reference.error(ours.features(images, end_point, batch_size=2), expected) <= LIMIT
        full = ours.features(images, 'small/' + end_point, batch_size=2)
        np.testing.assert_array_equal(full, ours.features(images, end_point, batch_size=2))
    assert keras_reference.error(ours.features(images, 'predictions'), predict(theirs, images)) <= LIMIT
    with pytest.raises(ValueError, match="no end point 'block5'; there are small/conv1, .*, predictions"):
        ours.features(images, 'block5')


@pytest.mark.parametrize('batch_size', [1, 2, 5, 6, 100, np.int64(4)])
def test_the_batch_size_changes_no_result(model, batch_size):
    images = images_of(5, SIZE)
    one_by_one = np.concatenate([model.predict(image[np.newaxis]) for image in images])
    actual = model.predict(images, batch_size)
    assert actual.shape == (5, 3)
    assert keras_reference.error(actual, one_by_one) <= LIMIT


def test_no_images_give_no_results(model):
    assert model.predict(np.zeros((0,) + SIZE + (3,))).shape == (0, 3)
    assert model.features(np.zeros((0,) + SIZE + (3,)), 'block1').shape == (0, 4, 5, 16)


@pytest.mark.parametrize('dtype', [np.uint8, np.int64, np.float16, np.float32, np.float64])
def test_numbers_of_any_type_are_float32_to_the_network(model, dtype):
    images = np.random.default_rng(0).integers(0, 100, (2,) + SIZE + (3,)).astype(dtype)
    np.testing.assert_array_equal(model.predict(images), model.predict(images.astype(np.float32)))


def test_lists_tensors_and_mapped_files_are_images_too(model, tmp_path):
    images = images_of(3, SIZE)
    expected = model.predict(images, 2)
    np.save(tmp_path / 'images.npy', images)
    eager = keras_reference.eagerly(tf.convert_to_tensor, images)
    for given in (images.tolist(), eager, np.load(tmp_path / 'images.npy', mmap_mode='r')):
        np.testing.assert_array_equal(model.predict(given, 2), expected)


@pytest.mark.parametrize(('images', 'message'), [
    (np.zeros(SIZE + (3,)), r'\[\?, 32, 40, 3\]; got \[32, 40, 3\]. One image is image\[np.newaxis\]'),
    (np.zeros((1,) + SIZE + (4,)), r'got \[1, 32, 40, 4\]'),
    (np.zeros((1, 40, 32, 3)), r'got \[1, 40, 32, 3\]'),
    (np.zeros(0), r'got \[0\]'),
    (3, r'got \[\]'),
    (np.full((1,) + SIZE + (3,), 'x'), 'images must be whole numbers or floats; got <U1'),
    (np.zeros((1,) + SIZE + (3,), bool), 'got bool'),
    (np.zeros((1,) + SIZE + (3,), complex), 'got complex128'),
    (np.zeros((1,) + SIZE + (3,), object), 'got object'),
])
def test_what_are_no_images_is_refused(model, images, message):
    with pytest.raises(ValueError, match=message):
        model.predict(images)


@pytest.mark.parametrize('batch_size', [0, -1, 1.5, None, True, 'all'])
def test_bad_batch_sizes_are_refused(model, batch_size):
    with pytest.raises(ValueError, match='batch_size must be a whole number from 1; got'):
        model.predict(images_of(1, SIZE), batch_size)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(('stream', 'verbose', 'shown'), [
    (Terminal, 'auto', True), (Terminal, 1, True), (Terminal, 0, False), (Terminal, False, False),
    (io.StringIO, 'auto', False), (io.StringIO, 1, False)])
def test_progress_is_shown_on_terminals_only(model, monkeypatch, stream, verbose, shown):
    stderr = stream()
    monkeypatch.setattr(sys, 'stderr', stderr)
    model.predict(images_of(5, SIZE), batch_size=2, verbose=verbose)
    assert ('Tiny: 100%' in stderr.getvalue() and '5/5' in stderr.getvalue()) == shown
    assert bool(stderr.getvalue()) == shown


def test_the_summary_adds_up(loaded, capsys):
    model = loaded[0]
    assert model.summary() is None
    text = capsys.readouterr().out
    texts = []
    model.summary(print_fn=texts.append)
    assert texts == [text[:-1]]
    rows = [re.split('  +', line.strip()) for line in text.splitlines()[3:-2]]
    assert [row[0] for row in rows[:3]] == ['images', 'conv1', 'block1/unit_1']
    assert len(rows) == 1 + 1 + 8 + 1
    assert [row[1] for row in rows if row[0] in ('images', 'block2/unit_2', 'logits')] == [
        '? x 64 x 81 x 3', '? x 8 x 11 x 32', '? x 1 x 1 x 11']
    images = tf.placeholder(tf.float32, [None, 64, 81, 3])
    nets_factory.get_network_fn('small', CLASSES)(images)
    total = complexity.count()
    assert text.splitlines()[-1] == 'Parameters: {:,}; statistics: {:,}; multiply-adds: {:,}'.format(*total)
    for column, number in ((2, total.parameters), (3, total.multiply_adds)):
        assert sum(int(row[column].replace(',', '')) for row in rows) == number


def test_the_summary_of_images_of_any_size_leaves_open_what_is(capsys):
    with SMALL['SmallV2'](include_top=False, weights=None) as model:
        model.summary()
    lines = capsys.readouterr().out.splitlines()
    assert re.split('  +', lines[-3].strip()) == ['postnorm', '? x ? x ? x 64', '128', '0']
    assert lines[-1].endswith('multiply-adds: ?')


def test_what_is_saved_is_a_checkpoint_of_slims_and_loads(model, tmp_path):
    images = images_of(2, SIZE)
    path = tmp_path / 'new' / 'folder' / 'model.ckpt'
    model.save(path)
    assert sorted(os.listdir(path.parent)) == ['model.ckpt.data-00000-of-00001', 'model.ckpt.index']
    with tiny(weights=path) as other:
        np.testing.assert_array_equal(other.predict(images), model.predict(images))
    placeholder = tf.placeholder(tf.float32, [None, None, None, 3])
    net, _ = nets_factory.get_network_fn('tiny', 3)(placeholder)
    with tf.Session() as session:
        tf.train.Saver().restore(session, str(path))
        logits = session.run(net, {placeholder: images})
    assert keras_reference.error(logits, model.predict(images)) <= LIMIT


def test_the_same_weights_from_every_kind_of_file(keras_file, tmp_path):
    """Published weights of Keras, and checkpoints, whose names begin with another scope."""
    theirs, path = keras_file('Small')
    images = images_of(2)
    with SMALL['Small'](weights=None, classes=CLASSES, input_shape=(64, 81, 3)) as model:
        random = model.predict(images)
        model.load_weights(path)
        loaded = model.predict(images)
        assert keras_reference.error(loaded, predict(theirs, images)) <= LIMIT
        assert keras_reference.error(loaded, random) > 0.1
        model.save(tmp_path / 'model.ckpt')
    reader = tf.train.NewCheckpointReader(str(tmp_path / 'model.ckpt'))
    checkpoint.write(str(tmp_path / 'tower.ckpt'), {
        'tower_0/' + name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()})
    for name in ('model.ckpt', 'tower.ckpt'):
        with SMALL['Small'](weights=tmp_path / name, classes=CLASSES, input_shape=(64, 81, 3)) as model:
            np.testing.assert_array_equal(model.predict(images), loaded)


@pytest.mark.parametrize(('name', 'message'), [
    ('', 'is a directory'), ('model.h5', 'Keras does not read'), ('model.weights.h5', 'Keras does not read'),
    ('file/model.ckpt', 'file/model.ckpt cannot be written to: .*Name another destination')])
def test_where_nothing_can_be_written_is_told(model, tmp_path, name, message):
    (tmp_path / 'file').write_text('no directory')
    with pytest.raises(ValueError, match=message):
        model.save('{}/{}'.format(tmp_path, name))
    assert os.listdir(tmp_path) == ['file']


def test_a_save_that_fails_leaves_the_old_checkpoint(model, tmp_path, monkeypatch):
    path = str(tmp_path / 'model.ckpt')
    model.save(path)
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    with tiny(weights=None) as other:
        def fail(prefix, arrays):
            with open(prefix + '.index', 'wb') as file:
                file.write(b'half')
            raise OSError(28, 'No space left on device')
        monkeypatch.setattr(checkpoint, 'write', fail)
        with pytest.raises(ValueError, match='cannot be written: No space left on device'):
            other.save(path)
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_weights_that_do_not_fit_are_listed_and_change_nothing(model, keras_file, tmp_path):
    images = images_of(2, SIZE)
    before = model.predict(images)
    with tiny(weights=None, classes=4) as other:
        other.save(tmp_path / 'four.ckpt')
    with pytest.raises(ValueError, match=r'four.ckpt does not fit the model: 0 missing, 2 of another shape'):
        model.load_weights(tmp_path / 'four.ckpt')
    with pytest.raises(ValueError, match='no checkpoint at .*nothing'):
        model.load_weights(tmp_path / 'nothing')
    with pytest.raises(ValueError, match='tiny'):  # which Keras has not
        model.load_weights(keras_file('Small')[1])
    np.testing.assert_array_equal(model.predict(images), before)


def test_files_of_keras_that_do_not_fit_are_listed(loaded, keras_file, tmp_path):
    model, _, path = loaded
    images = images_of(2)
    before = model.predict(images)
    with pytest.raises(ValueError, match=r'(?s)V2.h5 does not fit small.*conv1/BatchNorm/beta.*preact_bn'):
        model.load_weights(keras_file('SmallV2')[1])
    with pytest.raises(ValueError, match=r'64, 11\] in the file, \[1, 1, 64, 7\] in the network'):
        SMALL['Small'](weights=path, classes=7)
    (tmp_path / 'cut.h5').write_bytes(path.read_bytes()[:100000])
    with pytest.raises(ValueError, match='cut.h5 cannot be read'):
        model.load_weights(tmp_path / 'cut.h5')
    (tmp_path / 'text.h5').write_text('no weights')
    with pytest.raises(ValueError, match='text.h5 cannot be read'):
        SMALL['Small'](weights=tmp_path / 'text.h5', classes=7)
    np.savez(tmp_path / 'weights.npz', weights=np.ones(3))
    with pytest.raises(ValueError, match='npz is npz, which does not fill small.*nets convert'):
        model.load_weights(tmp_path / 'weights.npz')
    np.testing.assert_array_equal(model.predict(images), before)


def test_truncated_checkpoints_are_named(model, tmp_path):
    model.save(tmp_path / 'model.ckpt')
    data = tmp_path / 'model.ckpt.data-00000-of-00001'
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(ValueError, match='model.ckpt cannot be read'):
        tiny(weights=tmp_path / 'model.ckpt')


def test_a_closed_model_says_so(tmp_path):
    with tiny(weights=None) as model:
        pass
    model.close()  # once more is no harm
    for use in (lambda: model.predict(images_of(1, SIZE)), lambda: model.features(images_of(1, SIZE), 'block1'),
                lambda: model.save(tmp_path / 'model.ckpt'), lambda: model.load_weights(tmp_path / 'model.ckpt')):
        with pytest.raises(ValueError, match='The model Tiny is closed'):
            use()


def test_models_disturb_neither_each_other_nor_the_default_graph(tmp_path):
    graph = tf.get_default_graph()
    images = images_of(2, SIZE)
    with tiny(weights=None) as one, tiny(weights=None) as two:
        first, second = one.predict(images), two.predict(images)
        assert keras_reference.error(first, second) > 0.1
        with tf.Graph().as_default(), tf.variable_scope('elsewhere'), tf.device('/cpu:0'):
            np.testing.assert_array_equal(one.predict(images), first)
            one.save(tmp_path / 'model.ckpt')
            two.load_weights(tmp_path / 'model.ckpt')
        np.testing.assert_array_equal(two.predict(images), first)
        np.testing.assert_array_equal(one.predict(images), first)
    assert tf.get_default_graph() is graph
    assert not graph.get_operations()


def test_loading_a_file_of_keras_keeps_the_graph_as_it_was(loaded):
    model, _, path = loaded
    operations = model._graph.get_operations()
    model.load_weights(path)
    assert model._graph.get_operations() == operations


@pytest.mark.parametrize('first_line', ['', 'tf.disable_v2_behavior()'])
def test_it_works_in_both_worlds_of_tensorflow(model, tmp_path, first_line):
    images = images_of(2, SIZE)
    model.save(tmp_path / 'model.ckpt')
    np.save(tmp_path / 'images.npy', images)
    code = textwrap.dedent('''
        import numpy as np
        import tensorflow.compat.v1 as tf
        {}
        from application_cases import register, tiny
        register()
        with tiny(weights='model.ckpt') as model:
            np.save('result.npy', model.predict(np.load('images.npy')))
            model.save('again.ckpt')
        with tf.Graph().as_default(), tf.Session() as session:
            net = tiny(weights='again.ckpt', input_tensor=tf.constant(np.load('images.npy'))).output
            session.run(tf.global_variables_initializer())
            np.save('graph.npy', session.run(net))
    ''').format(first_line)
    subprocess.run([sys.executable, '-c', code], check=True, cwd=tmp_path, stderr=subprocess.DEVNULL,
                   env=dict(os.environ, PYTHONPATH=os.pathsep.join([ROOT] + sys.path)))
    expected = model.predict(images)
    assert keras_reference.error(np.load(tmp_path / 'result.npy'), expected) <= LIMIT
    assert keras_reference.error(np.load(tmp_path / 'graph.npy'), expected) <= LIMIT
