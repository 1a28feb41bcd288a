"""What TensorBoard gets of a step, read with TensorFlow's own reader, and what it costs: nothing, unless asked for."""

import glob
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import tiny_network

from nets.training import config, loop, summaries


def _summary(serialized):
    return {value.tag: value for value in tf.Summary.FromString(serialized).value}


def _decoded(value):
    with tf.Session() as session:
        return session.run(tf.image.decode_png(value.image.encoded_image_string))


def _step(images, gradients, wanted, **values):
    """The summaries of one step with one variable, and the names of the operations that it ran."""
    tf.get_variable('net/weights', initializer=np.float32([[1, -2], [3, 0.5]]), use_resource=True,
                    collections=[tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.MODEL_VARIABLES])
    made = summaries.StepSummaries(
        config.TrainConfig(**values), tf.constant(images),
        {name: tf.constant(value, tf.float32) for name, value in gradients.items()})
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        told = tf.RunMetadata()
        fetched = session.run(made.fetches, made.feed(wanted), run_metadata=told,
                              options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE))
        ran = [node.node_name for device in told.step_stats.dev_stats for node in device.node_stats]
        return made.of_step(session, fetched) if wanted else fetched, ran


@pytest.mark.parametrize('channels', [1, 3])
def test_images_are_the_first_ones_each_from_black_to_full(channels):
    images = np.random.RandomState(0).normal(-50, 20, [4, 5, 6, channels]).astype(np.float32)
    images[1] = 7
    (serialized,), _ = _step(images, {}, True, summarize_images=3)
    found = _summary(serialized)
    assert sorted(found) == ['images/image/0', 'images/image/1', 'images/image/2']
    for number in (0, 2):
        low, high = images[number].min(), images[number].max()
        expected = np.rint((images[number].astype(np.float64) - low) / (high - low) * 255)
        np.testing.assert_allclose(_decoded(found[f'images/image/{number}']), expected, atol=1)
    assert (_decoded(found['images/image/1']) == 0).all()


def test_histograms_count_what_is_finite():
    gradients = {'net/weights': [np.nan, 1, 2, np.inf], 'net/biases': [np.nan]}
    (step, weights), _ = _step(np.zeros([1, 2, 2, 3], np.float32), gradients, True, summarize_histograms=True)
    histograms = {tag: value.histo for tag, value in {**_summary(step), **_summary(weights)}.items()}
    assert sorted(histograms) == ['net/biases/gradient', 'net/weights', 'net/weights/gradient']
    assert histograms['net/biases/gradient'].num == 0
    numbers = histograms['net/weights/gradient']
    assert (numbers.num, numbers.min, numbers.max, numbers.sum_squares) == (2, 1, 2, 5)
    numbers = histograms['net/weights']
    assert (numbers.num, numbers.min, numbers.max, numbers.sum) == (4, -2, 3, 2.5)


def test_nothing_is_computed_unless_asked_for_and_nothing_is_there_without_flags():
    images, gradients = np.zeros([2, 3, 3, 3], np.float32), {'weights': [1.0]}
    for wanted in (True, False):
        with tf.Graph().as_default():
            _, ran = _step(images, gradients, wanted, summarize_images=1, summarize_histograms=True)
        assert any('HistogramSummary' in name for name in ran) == wanted
        assert any('ImageSummary' in name for name in ran) == wanted
    with tf.Graph().as_default() as graph:
        assert _step(images, gradients, True)[0] == []
        assert not [one for one in graph.get_operations() if 'Summary' in one.type]


def test_run_writes_all_of_it_without_changing_a_bit(tmp_path):
    tiny_network.register()
    images = tiny_network.make_images(tmp_path / 'images')
    events, bits = [], []
    for seconds in (1e9, 0):
        folder = str(tmp_path / f'run{seconds}')
        result = loop.train(config.TrainConfig(
            train_dir=folder, model_name='tiny', seed=3, max_number_of_steps=4, save_summaries_secs=seconds,
            summarize_images=2, summarize_histograms=True, eval_every=0 if seconds else 4, eval_split_name='train',
            data=config.DataConfig(dataset_name='image_folder', dataset_dir=images, batch_size=4)))
        reader = tf.train.NewCheckpointReader(result.checkpoint_path)
        bits.append({name: reader.get_tensor(name).tobytes() for name in reader.get_variable_to_shape_map()})
        events.append([(event.step, value) for path in sorted(glob.glob(os.path.join(folder, 'events*')))
                       for event in tf.train.summary_iterator(path) for value in event.summary.value])
    assert bits[0] == bits[1]
    tags = {value.tag for _, value in events[1]}
    assert {'total_loss', 'losses/cross_entropy', 'images/image/1', 'tiny/conv1/weights', 'tiny/conv1/weights/gradient',
            'tiny/conv1/BatchNorm/moving_mean'} <= tags
    assert [step for step, value in events[0] if value.tag == 'images/image/0'] == [4]
    assert [step for step, value in events[1] if value.tag == 'images/image/0'] == [1, 2, 3, 4]
    last, = [value.histo for step, value in events[0] if value.tag == 'tiny/logits/biases']
    assert last.sum == pytest.approx(np.frombuffer(bits[0]['tiny/logits/biases'], np.float32).sum(dtype=np.float64))
    evaluated = [(event.step, value.tag) for path in glob.glob(os.path.join(folder, 'eval', 'events*'))
                 for event in tf.train.summary_iterator(path) for value in event.summary.value]
    assert {(4, 'eval/Accuracy'), (4, 'eval/Recall_5'), (4, 'eval/loss')} == set(evaluated)
