"""Mixup: means of pairs against NumPy, and draws that are those of the distribution and follow from seed and step."""

import numpy as np
import pytest
import steps
import tensorflow.compat.v1 as tf
import tiny_network

from nets.training import config, graph, mixup


def _draws(alpha, seeds, batch_size=5):
    seed = tf.placeholder(tf.int64, [2])
    mixture = mixup.draw(alpha, tf.constant(batch_size), seed)
    with tf.Session() as session:
        drawn = [session.run(mixture, {seed: one}) for one in seeds]
    return np.array([one.weight for one in drawn]), np.array([one.partners for one in drawn])


@pytest.mark.parametrize('alpha', [0.2, 1.0, 8.0])
def test_weights_are_of_the_beta_distribution_and_partners_permute(alpha):
    weights, partners = _draws(alpha, [(3, step) for step in range(1000)])
    assert weights.min() >= 0
    assert weights.max() <= 1
    # Mean 1/2 and variance 1 / (4 (2 alpha + 1)), within five standard errors.
    variance = 0.25 / (2 * alpha + 1)
    assert weights.mean() == pytest.approx(0.5, abs=float(5 * np.sqrt(variance / 1000)))
    fourth = ((weights - 0.5) ** 4).mean()
    assert ((weights - 0.5) ** 2).mean() == pytest.approx(variance, abs=float(5 * np.sqrt(fourth / 1000)))
    assert (np.sort(partners) == np.arange(5)).all()
    # Each image meets each partner equally often.
    counts = np.array([[(partners[:, i] == j).sum() for j in range(5)] for i in range(5)])
    assert np.abs(counts - 200).max() < 5 * np.sqrt(1000 * 0.2 * 0.8)


def test_draws_follow_from_seed_and_step():
    weights, partners = _draws(1.0, [(1, 5), (1, 5), (1, 6), (2, 5)], batch_size=20)
    assert weights[0] == weights[1]
    assert (partners[0] == partners[1]).all()
    assert len(set(weights)) == 3
    assert not (partners[0] == partners[2]).all()
    assert not (partners[0] == partners[3]).all()


@pytest.mark.parametrize('alpha', [1e-30, 1e30])
def test_extreme_parameters_give_numbers(alpha):
    weights, _ = _draws(alpha, [(0, step) for step in range(20)])
    assert np.isfinite(weights).all()
    assert ((weights >= 0) & (weights <= 1)).all()


def test_loss_of_a_step_against_numpy():
    """A linear classifier sees mixed pixels, and its cross entropy is with mixed, smoothed labels."""
    images, labels = steps.examples(6)
    weights = np.random.RandomState(1).randn(3, 3) * 0.1
    settings = config.TrainConfig(mixup_alpha=0.4, label_smoothing=0.1, seed=7, gradient_accumulation=2)

    def network_fn(net):
        variable = tf.get_variable('w', initializer=tf.constant(weights, tf.float32))
        return tf.matmul(tf.reduce_mean(net, [1, 2]), variable), {}

    built = graph.build_train_graph(settings, tiny_network.task_of(network_fn), {
        'image': tf.constant(images), 'label': tf.constant(labels)})
    # Both micro-batches of step 0, and the first of step 1.
    drawn = zip(*_draws(0.4, [(7, 0), (7, 1), (7, 2)], batch_size=6), strict=True)
    expected = []
    for weight, partners in drawn:
        mixed = weight * images + (1 - weight) * images[partners]
        one_hot = np.eye(3)[labels] * 0.9 + 0.1 / 3
        targets = weight * one_hot + (1 - weight) * one_hot[partners]
        logits = mixed.mean((1, 2)) @ weights
        expected.append(-(targets * (logits - np.log(np.exp(logits).sum(1, keepdims=True)))).sum(1).mean())
    with tf.Session() as session:
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        session.run(built.accumulate_op)
        metrics, _ = session.run((built.metrics, built.train_op))
        assert metrics['cross_entropy'] == pytest.approx(np.mean(expected[:2]), rel=1e-6)
    assert len(set(expected)) == 3
