"""Evaluations of a tiny network against the same network run on one image at a time."""

import dataclasses
import json
import os

import golden
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tiny_network

from nets import nets_factory
from nets.data import datasets, preprocessing
from nets.inference import engines
from nets.training import config, evaluation, tally

AVERAGE = '/ExponentialMovingAverage'


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return tiny_network.make_images(tmp_path_factory.mktemp('data') / 'images', per_class=7)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """A checkpoint with random weights, other random averages, and the step 12."""
    tiny_network.register()
    path = str(tmp_path_factory.mktemp('run') / 'model.ckpt-12')
    rng = np.random.RandomState(4)
    with tf.Graph().as_default(), tf.Session() as session:
        nets_factory.get_network_fn('tiny', 3)(tf.zeros([1, 17, 17, 3]))
        values = {}
        for variable in tf.model_variables():
            shape = variable.shape.as_list()
            for ending in ('', AVERAGE):
                noise = rng.randn(*shape) * np.sqrt(1 / max(1, np.prod(shape[:-1])))
                values[variable.op.name + ending] = (
                    1 + noise ** 2 if variable.op.name.endswith('variance') else noise).astype(np.float32)
        held = {name: tf.Variable(value, trainable=False) for name, value in values.items()}
        held['global_step'] = tf.Variable(12, dtype=tf.int64, trainable=False)
        session.run(tf.global_variables_initializer())
        return tf.train.Saver(held).save(session, path, write_meta_graph=False)


def _config(images, checkpoint, eval_dir, batch_size=4, **values):
    data = config.DataConfig(dataset_name='image_folder', dataset_dir=images, dataset_split_name='train',
                             batch_size=batch_size, num_preprocessing_threads=1)
    return dataclasses.replace(config.EvalConfig(
        checkpoint_path=checkpoint, eval_dir=str(eval_dir), model_name='tiny', data=data), **values)


def _one_at_a_time(images, checkpoint, ending=''):
    """Logits and labels, `[images, classes]` and `[images]`, without pipeline, restore function, batches."""
    dataset = datasets.get_dataset('image_folder', 'train', images)
    reader = tf.train.NewCheckpointReader(checkpoint)
    with tf.Graph().as_default(), tf.Session() as session:
        encoded = tf.placeholder(tf.string, [])
        preprocess = preprocessing.get_preprocessing('digits', False)
        image = preprocess(tf.image.decode_png(encoded, channels=3), 17, 17)
        logits, _ = nets_factory.get_network_fn('tiny', 3)(image[tf.newaxis])
        golden.assign(session, [(variable, reader.get_tensor(variable.op.name + ending))
                                for variable in tf.model_variables()])
        iterator = tf.data.make_initializable_iterator(dataset.examples())
        following = iterator.get_next()
        session.run(iterator.initializer)
        rows = []
        for _ in range(dataset.num_examples):
            example = session.run(following)
            rows.append((session.run(logits, {encoded: example['encoded']})[0], example['label']))
    return np.array([row for row, _ in rows], np.float64), np.array([label for _, label in rows])


def _paths(images):
    return [os.path.join(folder, name) for folder, _, names in os.walk(images) for name in names]


@pytest.mark.parametrize(('batch_size', 'average'), [(4, None), (5, 0.9), (100, None)])
def test_equals_one_image_at_a_time_whatever_the_batch(tmp_path, images, checkpoint, batch_size, average):
    settings = _config(images, checkpoint, tmp_path, batch_size, moving_average_decay=average)
    details = evaluation.evaluate(settings).details
    logits, labels = _one_at_a_time(images, checkpoint, AVERAGE if average else '')
    predicted = logits.argmax(1)
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]
    expected = np.zeros((3, 3), int)
    np.add.at(expected, (labels, predicted), 1)
    assert details['num_examples'] == len(labels) > 12
    assert details['confusion_matrix'] == expected.tolist()
    assert details['top_1'] == pytest.approx((predicted == labels).mean())
    assert details['loss'] == pytest.approx(losses.mean(), rel=1e-4)
    assert details['top_5'] == 1


@pytest.mark.parametrize('engine', engines.ENGINES)
@pytest.mark.parametrize('average', [None, 0.9])
def test_logits_are_those_of_the_unfolded_network(tmp_path, images, checkpoint, engine, average, monkeypatch):
    if engine == 'onnxruntime':
        pytest.importorskip('onnx')
        pytest.importorskip('onnxruntime')
    seen, add = [], tally.Tally.add
    monkeypatch.setattr(tally.Tally, 'add', lambda self, logits, *rest: (seen.append(logits), add(self, logits, *rest)))
    details = evaluation.evaluate(
        _config(images, checkpoint, tmp_path, engine=engine, moving_average_decay=average)).details
    logits, labels = _one_at_a_time(images, checkpoint, AVERAGE if average else '')
    np.testing.assert_allclose(np.concatenate(seen), logits, rtol=0, atol=1e-5 * np.abs(logits).max())
    assert details['top_1'] == (logits.argmax(1) == labels).mean()
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]
    assert details['loss'] == pytest.approx(losses.mean(), rel=1e-5)


def test_scopes_of_the_checkpoint_are_renamed(tmp_path, images, checkpoint):
    reader = tf.train.NewCheckpointReader(checkpoint)
    with tf.Graph().as_default(), tf.Session() as session:
        held = {name.replace('tiny/', 'old/scope/'): tf.Variable(reader.get_tensor(name))
                for name in reader.get_variable_to_shape_map()}
        session.run(tf.global_variables_initializer())
        path = tf.train.Saver(held).save(session, str(tmp_path / 'model.ckpt-12'), write_meta_graph=False)
    expected = evaluation.evaluate(_config(images, checkpoint, tmp_path)).summary
    actual = evaluation.evaluate(_config(images, path, tmp_path, checkpoint_renames=('old/scope=tiny',))).summary
    assert [actual[key] for key in ('loss', 'top_1')] == [expected[key] for key in ('loss', 'top_1')]
    with pytest.raises(ValueError, match="'old=tiny'[^$]*Change --checkpoint_renames"):
        evaluation.evaluate(_config(images, path, tmp_path, checkpoint_renames=('old=tiny',)))
    with pytest.raises(ValueError, match="'new=tiny' matches nothing in the checkpoint"):
        evaluation.evaluate(_config(images, path, tmp_path, checkpoint_renames=('new=tiny',)))


def test_an_unknown_engine_is_named_before_any_work(tmp_path, images):
    with pytest.raises(ValueError, match="must be one of tensorflow, onnxruntime; got 'tensorrt'"):
        evaluation.evaluate(_config(images, 'no.ckpt', tmp_path / 'eval', engine='tensorrt'))
    assert not (tmp_path / 'eval').exists()


def test_files_say_what_the_result_says(tmp_path, images, checkpoint):
    result = evaluation.evaluate(_config(images, checkpoint, tmp_path))
    with open(result.summary['eval_json'], encoding='utf-8') as file:
        assert json.load(file) == result.details
    assert result.summary['global_step'] == 12
    assert result.details['class_names'] == list(tiny_network.CLASSES)
    assert 'confusion_matrix' not in result.summary
    page = (tmp_path / 'report.html').read_text()
    wrong = result.summary['num_examples'] - round(result.summary['top_1'] * result.summary['num_examples'])
    assert page.count('class="card"') == wrong > 0
    events, = tmp_path.glob('events*')
    values = {value.tag: (event.step, value.simple_value) for event in tf.train.summary_iterator(str(events))
              for value in event.summary.value}
    assert values['eval/Accuracy'] == (12, pytest.approx(result.summary['top_1']))
    assert set(values) == {'eval/Accuracy', 'eval/Recall_5', 'eval/loss'}


@pytest.mark.parametrize('mark', ['checkpoint', 'metrics.jsonl'])
def test_report_of_a_run_in_the_same_directory_stays(tmp_path, images, checkpoint, mark):
    (tmp_path / mark).touch()
    (tmp_path / 'report.html').write_text('of the run')
    result = evaluation.evaluate(_config(images, checkpoint, tmp_path, max_num_batches=1))
    assert (tmp_path / 'report.html').read_text() == 'of the run'
    assert result.summary['report'] == str(tmp_path / 'eval_report.html')
    assert 'Worst mistakes' in (tmp_path / 'eval_report.html').read_text()


def test_batches_can_be_limited(tmp_path, images, checkpoint):
    settings = _config(images, checkpoint, tmp_path, max_num_batches=2)
    assert evaluation.evaluate(settings).summary['num_examples'] == 8


@pytest.mark.parametrize('claimed', [5, 500])
def test_dataset_that_says_a_wrong_number_is_an_error(tmp_path, images, checkpoint, monkeypatch, claimed):
    monkeypatch.setattr(datasets.Dataset, 'num_examples', claimed)
    with pytest.raises(ValueError, match=rf'examples were evaluated, {claimed} should have been'):
        evaluation.evaluate(_config(images, checkpoint, tmp_path))
    assert not (tmp_path / 'eval.json').exists()


@pytest.mark.parametrize('skip', [False, True])
def test_corrupt_image_is_named_or_skipped_and_counted(tmp_path, checkpoint, skip):
    folder = tiny_network.make_images(tmp_path / 'images', per_class=4)
    for path in (path for path in _paths(folder) if 'cross' in path):
        with open(path, 'r+b') as file:
            file.truncate(70)
    settings = _config(folder, checkpoint, tmp_path / 'eval')
    settings = dataclasses.replace(settings, data=dataclasses.replace(settings.data, skip_corrupt=skip))
    if not skip:
        with pytest.raises(ValueError, match=r"^Cannot decode the image '.*cross.*png'"):
            evaluation.evaluate(settings)
        return
    result = evaluation.evaluate(settings)
    total = datasets.get_dataset('image_folder', 'train', folder).num_examples
    assert result.summary['num_skipped'] == len(result.details['skipped']) > 0
    assert result.summary['num_examples'] == total - result.summary['num_skipped']
    assert result.details['per_class_accuracy'][1] is None
    assert os.path.basename(result.details['skipped'][0]) in (tmp_path / 'eval' / 'report.html').read_text()


def test_offset_that_leaves_a_label_below_zero_names_the_image(tmp_path, images, checkpoint):
    settings = _config(images, checkpoint, tmp_path)
    settings = dataclasses.replace(settings, data=dataclasses.replace(settings.data, labels_offset=1))
    with pytest.raises(ValueError, match='another number of classes: 3 in the checkpoint, 2 in the model'):
        evaluation.evaluate(settings)
