"""Training and evaluation prepare images as the preset beside the checkpoint says, unless the flags say otherwise."""

import dataclasses
import logging
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tiny_network

from nets import nets_factory
from nets.checkpoints import preset_file
from nets.data import datasets
from nets.training import config, evaluation, inputs, loop

NAMES = tuple(tiny_network.CLASSES)


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return tiny_network.make_images(tmp_path_factory.mktemp('data') / 'images', per_class=4)


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint of random weights at a step of 0, and a preset beside it that no network has."""
    tiny_network.register()
    prefix = str(tmp_path / 'start' / 'model.ckpt')
    os.mkdir(tmp_path / 'start')
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(3)
        nets_factory.get_network_fn('tiny', 3)(tf.zeros([1, 17, 17, 3]))
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix, write_meta_graph=False, write_state=False)
    preset_file.write(prefix, preset_file.of_network(
        'tiny', 3, NAMES, preprocessing='vgg', image_size=15, resize_side=16, means=[1.0, 20.0, 30.0],
        deviations=[50.0, 60.0, 70.0]))
    return prefix


def data_config(images, **values):
    return config.DataConfig(**dict({
        'dataset_name': 'image_folder', 'dataset_dir': images, 'dataset_split_name': 'train', 'batch_size': 4,
        'num_preprocessing_threads': 1}, **values))


def batch_of(settings, checkpoint):
    """The first images that evaluation gets, and the files that they are of."""
    task = inputs.make_task('tiny', settings, is_training=False, checkpoint_path=checkpoint)
    with tf.Graph().as_default(), tf.Session() as session:
        batch, initialize = inputs.next_batch(task, settings)
        session.run(initialize)
        values = session.run(batch)
    return values['image'], values['encoded']


def prepared(encoded, preset):
    with tf.Graph().as_default(), tf.Session() as session:
        fn = preset_file.preprocess_fn(preset)
        return session.run([fn(tf.image.decode_png(image, channels=3), preset.image_size, preset.image_size)
                            for image in encoded])


def test_the_preset_beside_the_checkpoint_is_used_and_said(images, checkpoint, caplog):
    with caplog.at_level(logging.INFO, 'nets'):
        actual, encoded = batch_of(data_config(images), checkpoint)
    np.testing.assert_allclose(actual, prepared(encoded, preset_file.read(checkpoint)), atol=1e-5)
    assert actual.shape == (4, 15, 15, 3)
    assert 'prepared by the preset' in caplog.text
    assert 'vgg, 15 pixels, resize_side 16, means [1.0, 20.0, 30.0]' in caplog.text


def test_flags_go_before_the_preset(images, checkpoint, caplog):
    digits, encoded = batch_of(data_config(images, preprocessing_name='digits'), checkpoint)
    expected = prepared(encoded, preset_file.of_network('tiny', 3))
    np.testing.assert_allclose(digits, expected, atol=1e-5)
    larger, encoded = batch_of(data_config(images, image_size=30, preprocessing_name='vgg'), checkpoint)
    expected = prepared(encoded, preset_file.resized(preset_file.read(checkpoint), 30))
    np.testing.assert_allclose(larger, expected, atol=1e-4)
    assert preset_file.resized(preset_file.read(checkpoint), 30).options['resize_side'] == 32


def test_evaluation_scores_what_the_preset_makes_of_the_images(images, checkpoint, tmp_path):
    settings = config.EvalConfig(checkpoint_path=checkpoint, eval_dir=str(tmp_path / 'eval'), model_name='tiny',
                                 data=data_config(images))
    loss = evaluation.evaluate(settings).summary['loss']
    dataset = datasets.get_dataset('image_folder', 'train', images)
    with tf.Graph().as_default(), tf.Session() as session:
        fn = preset_file.preprocess_fn(preset_file.read(checkpoint))
        encoded = tf.placeholder(tf.string, [])
        image = fn(tf.image.decode_png(encoded, channels=3), 15, 15)
        logits, _ = nets_factory.get_network_fn('tiny', 3)(image[tf.newaxis])
        tf.train.Saver().restore(session, checkpoint)
        iterator = tf.data.make_initializable_iterator(dataset.examples())
        following = iterator.get_next()
        session.run(iterator.initializer)
        losses = []
        for _ in range(dataset.num_examples):
            example = session.run(following)
            row = session.run(logits, {encoded: example['encoded']})[0].astype(np.float64)
            losses.append(np.log(np.exp(row).sum()) - row[example['label']])
    assert loss == pytest.approx(np.mean(losses), rel=1e-5)
    without = evaluation.evaluate(dataclasses.replace(settings, data=data_config(images, preprocessing_name='digits')))
    assert abs(without.summary['loss'] - loss) > 1e-3


def test_a_run_keeps_the_preset_that_it_began_with(images, checkpoint, tmp_path, caplog):
    settings = config.TrainConfig(
        train_dir=str(tmp_path / 'run'), model_name='tiny', data=data_config(images), max_number_of_steps=1, seed=1,
        fine_tune=config.FineTuneConfig(checkpoint_path=checkpoint))
    with tf.Graph().as_default():
        loop.train(settings)
    kept = preset_file.read(settings.train_dir)
    assert kept == preset_file.read(checkpoint)
    # The run goes on with it, although the checkpoint that it began with is gone.
    os.remove(checkpoint + '.index')
    caplog.clear()
    with caplog.at_level(logging.INFO, 'nets'), tf.Graph().as_default():
        loop.train(dataclasses.replace(settings, max_number_of_steps=2))
    assert 'run/model.ckpt-1: vgg, 15 pixels' in caplog.text
    actual, encoded = batch_of(data_config(images), settings.train_dir)
    np.testing.assert_allclose(actual, prepared(encoded, kept), atol=1e-5)


def test_a_run_without_a_preset_writes_none(images, tmp_path):
    tiny_network.register()
    with tf.Graph().as_default():
        loop.train(config.TrainConfig(train_dir=str(tmp_path), model_name='tiny', data=data_config(images),
                                      max_number_of_steps=1, seed=1))
    assert not os.path.exists(tmp_path / 'preset.json')


def test_a_preset_that_cannot_be_honoured_stops_the_evaluation(images, checkpoint, tmp_path):
    path = preset_file.path_of(checkpoint)
    with open(path, encoding='utf-8') as file:
        text = file.read()
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text.replace('"centre"', '"corner"'))
    with pytest.raises(ValueError, match="preset.json cannot be honoured: crop must be 'centre'"):
        evaluation.evaluate(config.EvalConfig(checkpoint_path=checkpoint, eval_dir=str(tmp_path / 'eval'),
                                              model_name='tiny', data=data_config(images)))
    assert not os.listdir(tmp_path / 'eval')
