"""Whole training runs of a tiny segmentation on the embedded data set, in this process."""

import dataclasses
import json
import logging
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tiny_segmentation as tiny

from nets.checkpoints import restore
from nets.segmentation import config, model_file, problem
from nets.training import loop, validation
from nets.training.config import FineTuneConfig


def _train(settings):
    return loop.train(settings, problem.PROBLEM)


def _tensors(path):
    reader = tf.train.NewCheckpointReader(path)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_training_lowers_the_loss_and_keeps_the_best_checkpoint(trained):
    with open(os.path.join(trained.train_dir, 'metrics.jsonl'), encoding='utf-8') as file:
        entropies = [json.loads(line)['cross_entropy'] for line in file]
    assert np.mean(entropies[-10:]) < 0.8 * np.mean(entropies[:4])
    best = validation.read_best(trained.train_dir)
    assert sorted(best) == ['loss', 'mean_iou', 'pixel_accuracy', 'step']
    assert best['step'] == 30
    assert best['pixel_accuracy'] > 0.5
    model = model_file.read(os.path.join(trained.train_dir, 'best'))
    assert (model.network, model.head, model.class_names) == (tiny.NAME, 'deeplab_v3plus', tiny.CLASSES)
    assert (model.preprocessing, model.ignore_label, model.palette[1]) == ('vgg', 255, [128, 0, 0])
    with open(os.path.join(trained.train_dir, 'report.html'), encoding='utf-8') as file:
        page = file.read()
    for expected in ('Training of deeplab_v3plus on tiny_v1 on shapes/train', 'best mean IoU, at step 30',
                     'model.head_options'):
        assert expected in page


def test_resumed_run_ends_with_the_very_bits_of_an_undisturbed_one(tmp_path):
    def run(directory, steps):
        return _tensors(_train(tiny.settings(tmp_path / directory, max_number_of_steps=steps)).checkpoint_path)

    expected = run('whole', 3)
    run('stopped', 2)
    for name, value in run('stopped', 3).items():
        np.testing.assert_array_equal(value, expected[name], name)


def test_starts_from_the_backbone_of_tf1_with_frozen_batch_norm(tmp_path, caplog):
    tune = FineTuneConfig(checkpoint_path=tiny.CHECKPOINT)
    with caplog.at_level(logging.INFO):
        after = _tensors(_train(tiny.settings(
            tmp_path, max_number_of_steps=2, fine_tune=tune, model={'fine_tune_batch_norm': False})).checkpoint_path)
    assert 'has no head; these begin at random: ' in caplog.text
    before = {name: value for name, value in _tensors(tiny.CHECKPOINT).items()
              if name.startswith('tiny_v1/') and '/logits' not in name and name.split('/')[-1] in (
                  'weights', 'gamma', 'beta', 'moving_mean', 'moving_variance')}
    assert before
    for name, value in before.items():
        # Two steps change what is trained a little; averages that are not trained, not at all.
        assert (np.abs(after[name] - value).max() == 0) == ('/moving_' in name), name
        np.testing.assert_allclose(after[name], value, atol=0.2 * max(1, np.abs(value).max()), err_msg=name)


def test_starts_from_a_whole_segmentation_and_its_preprocessing(trained, tmp_path, caplog):
    path = restore.find_checkpoint(trained.train_dir)
    settings = tiny.settings(tmp_path, rate=0.0, max_number_of_steps=1, fine_tune=FineTuneConfig(checkpoint_path=path),
                             data={'dataset_split_name': 'validation'})
    with caplog.at_level(logging.INFO):
        after = _tensors(_train(settings).checkpoint_path)
    assert '0 excluded, 0 missing' in caplog.text
    np.testing.assert_array_equal(after['logits/semantic/weights'], _tensors(path)['logits/semantic/weights'])
    model = model_file.read(path)._replace(preprocessing='inception', options={'means': [1.0, 2.0, 3.0]})
    (tmp_path / 'other').mkdir()
    for name in os.listdir(trained.train_dir):
        if name.startswith(os.path.basename(path) + '.'):
            os.symlink(os.path.join(trained.train_dir, name), tmp_path / 'other' / name)
    model_file.write(str(tmp_path / 'other'), model)
    task = problem.make_task(settings, str(tmp_path / 'other' / os.path.basename(path)))
    assert (task.model.preprocessing, task.model.options) == ('inception', {'means': [1.0, 2.0, 3.0]})


def test_weights_of_classes_and_mining_reach_the_loss(tmp_path):
    settings = tiny.settings(tmp_path)
    task = problem.make_task(settings)
    labels = np.zeros([1, 33, 33], np.int32)
    batch = {'image': tf.ones([1, 33, 33, 3]), 'label': tf.constant(labels)}

    def cross_entropy(**values):
        changed = dataclasses.replace(settings, loss=dataclasses.replace(settings.loss, **values))
        with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
            return problem.build_losses(changed, task, batch, tf.constant(0, tf.int64))[0].cross_entropy

    losses = [cross_entropy(), cross_entropy(class_weights=(3.0, 0, 0, 0, 0)),
              cross_entropy(class_weights=(0.0, 1, 1, 1, 1)), cross_entropy(top_k_percent_pixels=0.1)]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        plain, threefold, nothing, hardest = session.run(losses)
    np.testing.assert_allclose([threefold, nothing], [3 * plain, 0], rtol=1e-4)
    assert hardest > plain


@pytest.mark.parametrize(('changes', 'message'), [
    ({'model_name': 'resnet_v3'}, "Unknown network 'resnet_v3'"),
    ({'model': {'head': 'unet'}}, "Unknown head 'unet'; the heads are fcn"),
    ({'model': {'head_options': ('depht=8',)}}, "has no option 'depht'"),
    ({'model': {'output_stride': 6}}, 'output_stride'),
    ({'data': {'dataset_name': 'coco'}}, "must be one of shapes, voc, tfrecords; got 'coco'"),
    ({'data': {'dataset_name': 'voc', 'dataset_dir': '/none'}}, '/none'),
    ({'data': {'preprocessing_name': 'cifar'}}, "got 'cifar'"),
    ({'fine_tune': FineTuneConfig(checkpoint_path=tiny.CHECKPOINT.replace('tiny_v1', 'tiny_v2'))}, 'tiny_v2'),
    ({'fine_tune': FineTuneConfig(checkpoint_path='/none')}, 'There is no checkpoint'),
])
def test_what_cannot_work_is_told_before_anything_is_trained(tmp_path, changes, message):
    changes = dict(changes)
    name = changes.pop('model_name', tiny.NAME)
    settings = dataclasses.replace(tiny.settings(tmp_path, max_number_of_steps=1, **changes), model_name=name)
    with pytest.raises(ValueError, match=message):
        _train(settings)


@pytest.mark.parametrize(('head', 'expected'), [
    ('fcn', set()), ('psp', {'depth', 'keep_prob'}), ('deeplab_v2', {'atrous_rates'}),
    ('deeplab_v3', {'depth', 'keep_prob', 'atrous_rates'})])
def test_other_heads_get_those_of_the_default_options_that_they_have(head, expected):
    defaults = config.TrainConfig()
    task = problem.make_task(dataclasses.replace(defaults, model=dataclasses.replace(defaults.model, head=head)))
    assert set(task.model.head_options) == expected


def test_classes_of_another_number_are_told(trained, tmp_path):
    from nets.segmentation import config, evaluation
    data = dataclasses.replace(config.EvalConfig().data, dataset_name='voc', dataset_dir=str(tmp_path))
    for folder, name in (('JPEGImages', '1.jpg'), ('SegmentationClass', '1.png')):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(b'')
    (tmp_path / 'ImageSets' / 'Segmentation').mkdir(parents=True)
    (tmp_path / 'ImageSets' / 'Segmentation' / 'val.txt').write_text('1\n')
    (tmp_path / 'labels.txt').write_text('0:sky\n1:sea\n')
    with pytest.raises(ValueError, match='tells 5 classes apart .*has 2 .sky, sea'):
        evaluation.evaluate(config.EvalConfig(config.InferenceConfig(trained.train_dir), data=data))
