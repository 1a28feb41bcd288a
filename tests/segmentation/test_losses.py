"""The loss, compared with loops over pixels in NumPy."""

import math

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.segmentation import losses

WEIGHTS = (0.5, 2.0, 0.0, 1.25)


def example(seed=0, batch=2, height=5, width=6, classes=4, logits_size=None):
    rng = np.random.RandomState(seed)
    labels = rng.randint(0, classes, [batch, height, width])
    labels[rng.rand(*labels.shape) < 0.25] = 255
    return rng.randn(batch, *(logits_size or (height, width)), classes).astype(np.float32) * 3, labels


def resized(logits, height, width):
    """Corners on corners, pixel by pixel."""
    result = np.zeros([len(logits), height, width, logits.shape[3]])
    for row in range(height):
        for column in range(width):
            y, x = (index * (old - 1) / (new - 1) if new > 1 else 0 for index, old, new in (
                (row, logits.shape[1], height), (column, logits.shape[2], width)))
            for r, r_weight in ((math.floor(y), 1 - y % 1), (math.ceil(y), y % 1)):
                for c, c_weight in ((math.floor(x), 1 - x % 1), (math.ceil(x), x % 1)):
                    result[:, row, column] += r_weight * c_weight * logits[:, r, c]
    return result


def pixel_losses(logits, labels, weights=None):
    """The losses of the pixels that are not ignored, a list."""
    found = []
    for values, label in zip(logits.reshape(-1, logits.shape[-1]).astype(np.float64), labels.ravel(), strict=True):
        if label != 255:
            found.append((weights[label] if weights else 1) * -math.log(
                math.exp(values[label]) / sum(math.exp(value) for value in values)))
    return found


def evaluate(logits, labels, step=None, **options):
    """The loss and its gradient."""
    with tf.Graph().as_default(), tf.Session() as session:
        logits = tf.constant(logits)
        loss = losses.cross_entropy_loss(
            logits, tf.constant(labels), global_step=None if step is None else tf.constant(step, tf.int64), **options)
        return session.run([loss, tf.gradients(loss, logits)[0]])


@pytest.mark.parametrize('weights', [None, WEIGHTS])
def test_mean_over_the_pixels_that_are_not_ignored(weights):
    logits, labels = example()
    found, _ = evaluate(logits, labels, class_weights=weights)
    assert found == pytest.approx(np.sum(pixel_losses(logits, labels, weights)) / (labels != 255).sum(), rel=1e-6)


@pytest.mark.parametrize('logits_size', [(3, 4), (9, 11), (1, 1), (2, 6)])
def test_logits_are_resized_corners_on_corners(logits_size):
    logits, labels = example(1, logits_size=logits_size)
    found, _ = evaluate(logits, labels)
    assert found == pytest.approx(np.mean(pixel_losses(resized(logits, 5, 6), labels)), rel=1e-5)


@pytest.mark.parametrize('weights', [None, WEIGHTS])
@pytest.mark.parametrize(('last_step', 'step', 'share'), [
    (0, None, 0.25), (100, 0, 1.0), (100, 20, 0.85), (100, 100, 0.25), (100, 5000, 0.25)])
def test_hardest_pixels_are_mined_and_their_share_falls_linearly(last_step, step, share, weights):
    logits, labels = example(2)
    found, _ = evaluate(logits, labels, class_weights=weights, top_k_percent_pixels=0.25,
                        hard_example_mining_step=last_step, step=step)
    hardest = sorted(pixel_losses(logits, labels, weights), reverse=True)[:int(round(share * labels.size, 3))]
    assert found == pytest.approx(np.mean(hardest), rel=1e-5)


def test_mined_share_is_of_all_pixels_and_ignored_ones_are_not_mined():
    logits, labels = example(3)
    labels[1] = 255
    found, _ = evaluate(logits, labels, top_k_percent_pixels=0.9)
    assert found == pytest.approx(np.mean(pixel_losses(logits, labels)), rel=1e-6)


@pytest.mark.parametrize('options', [{}, {'class_weights': WEIGHTS}, {'top_k_percent_pixels': 0.5}])
def test_all_ignored_is_a_loss_of_zero_without_a_gradient(options):
    logits, labels = example()
    found, gradient = evaluate(logits, np.full_like(labels, 255), **options)
    assert found == 0
    np.testing.assert_array_equal(gradient, np.zeros_like(logits))


def test_gradient_is_that_of_softmax_where_labels_count():
    logits, labels = example(4)
    _, gradient = evaluate(logits, labels, class_weights=WEIGHTS)
    counted = labels != 255
    softmax = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    classes = np.where(counted, labels, 0)
    weights = np.array(WEIGHTS)[classes] * counted / counted.sum()
    expected = (softmax - np.eye(4)[classes]) * weights[..., np.newaxis]
    np.testing.assert_allclose(gradient, expected, atol=1e-7)


def test_ignore_label_may_be_a_class():
    logits, labels = example(5)
    labels[labels == 255] = 0
    found, _ = evaluate(logits, labels, ignore_label=0)
    assert found == pytest.approx(np.mean(pixel_losses(logits, np.where(labels == 0, 255, labels))), rel=1e-6)


def test_regularization_is_added():
    logits, labels = example()
    with tf.Session() as session:
        tf.add_to_collection(tf.GraphKeys.REGULARIZATION_LOSSES, tf.constant(0.75))
        found = session.run(losses.segmentation_losses(tf.constant(logits), tf.constant(labels)))
    assert found.regularization == 0.75
    assert found.total == pytest.approx(found.cross_entropy + 0.75)
    assert found.cross_entropy == pytest.approx(np.mean(pixel_losses(logits, labels)), rel=1e-6)


def test_half_precision_and_large_logits_stay_exact():
    logits, labels = example(6)
    logits = np.clip(logits * 300, -2000, 2000).astype(np.float16)
    found, gradient = evaluate(logits, labels)
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    counted = labels != 255
    every = np.log(np.exp(shifted).sum(-1)) - np.take_along_axis(
        shifted, np.where(counted, labels, 0)[..., None], -1)[..., 0]
    assert found == pytest.approx(every[counted].mean(), rel=1e-6)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(('options', 'words'), [
    ({'class_weights': (1, 1)}, r'class_weights must be 4 numbers, .*got \[1, 1\]'),
    ({'class_weights': (1, 1, 1, -1)}, 'none below 0'),
    ({'top_k_percent_pixels': 0}, 'top_k_percent_pixels must be above 0 and at most 1; got 0'),
    ({'top_k_percent_pixels': 1.5}, 'got 1.5'),
    ({'hard_example_mining_step': 5}, 'other than 0 with a global_step only; got 5 without one'),
    ({'hard_example_mining_step': -1}, 'got -1')])
def test_bad_options_are_explained(options, words):
    logits, labels = example()
    with pytest.raises(ValueError, match=words):
        losses.cross_entropy_loss(tf.constant(logits), tf.constant(labels), **options)
