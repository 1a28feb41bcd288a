"""The metrics, compared with scikit-learn's and with a search for the nearest boundary pixel by brute force."""

import json
import math

import numpy as np
import pytest
from sklearn import metrics as reference

from nets.segmentation import metrics

NUM_CLASSES = 5


def random_pair(seed, height=23, width=31, classes=NUM_CLASSES, ignored=True):
    """Labels in blocks, and predictions that differ from them here and there."""
    rng = np.random.RandomState(seed)
    labels = rng.randint(0, classes, [height // 5 + 1, width // 5 + 1]).repeat(5, 0).repeat(5, 1)[:height, :width]
    predictions = np.roll(labels, rng.randint(-2, 3, 2), [0, 1])
    noise = rng.rand(height, width) < 0.05
    predictions[noise] = rng.randint(0, classes, noise.sum())
    if ignored:
        labels = np.where(rng.rand(height, width) < 0.1, 255, labels)
        labels[3:9, 5:12] = 255
    return labels, predictions


def add_all(pairs, **options):
    counted = metrics.Metrics(NUM_CLASSES, **options)
    for labels, predictions in pairs:
        counted.add(labels, predictions)
    return counted


def flat(pairs):
    labels, predictions = (np.concatenate([pair[index].ravel() for pair in pairs]) for index in range(2))
    return labels[labels != 255], predictions[labels != 255]


@pytest.mark.parametrize('classes', [NUM_CLASSES, 3])
def test_scores_of_regions_are_those_of_scikit_learn(classes):
    pairs = [random_pair(seed, 20 + seed, 30, classes) for seed in range(6)]
    counted, (labels, predictions) = add_all(pairs), flat(pairs)
    numbers = list(range(NUM_CLASSES))
    confusion = reference.confusion_matrix(labels, predictions, labels=numbers)
    np.testing.assert_array_equal(counted.confusion, confusion)
    assert counted.confusion.dtype == np.int64
    present = numbers[:classes]
    ious = reference.jaccard_score(labels, predictions, labels=present, average=None)
    assert counted.per_class_iou() == pytest.approx([*ious, None, None][:NUM_CLASSES])
    assert counted.mean_iou() == pytest.approx(reference.jaccard_score(labels, predictions, average='macro'))
    assert counted.frequency_weighted_iou() == pytest.approx(
        reference.jaccard_score(labels, predictions, average='weighted'))
    assert counted.pixel_accuracy() == pytest.approx(reference.accuracy_score(labels, predictions))
    assert counted.mean_accuracy() == pytest.approx(reference.balanced_accuracy_score(labels, predictions))
    assert counted.per_class_accuracy() == pytest.approx([
        *reference.recall_score(labels, predictions, labels=present, average=None), None, None][:NUM_CLASSES])


def test_class_that_is_predicted_only_counts_as_missed():
    counted = add_all([(np.array([[0, 0, 1, 255]]), np.array([[0, 2, 1, 3]]))])
    assert counted.per_class_iou() == [0.5, 1, 0, None, None]
    assert counted.mean_iou() == 0.5
    assert counted.per_class_accuracy() == [0.5, 1, None, None, None]
    assert counted.mean_accuracy() == 0.75


def test_order_and_parts_change_nothing():
    pairs = [random_pair(seed) for seed in range(4)]
    forward, backward = add_all(pairs).summary(), add_all(pairs[::-1]).summary()
    for key, value in forward.items():
        assert backward[key] == pytest.approx(value, rel=1e-14)
    tiles = [(labels[rows], predictions[rows]) for labels, predictions in pairs for rows in (slice(9), slice(9, None))]
    np.testing.assert_array_equal(add_all(tiles).confusion, add_all(pairs).confusion)


def brute_boundary(classes, number):
    """The pixels of a class that have a neighbour of another, a list of points."""
    height, width = classes.shape
    return [(row, column) for row in range(height) for column in range(width) if classes[row, column] == number and any(
        0 <= r < height and 0 <= c < width and classes[r, c] != number
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)))]


def brute_scores(labels, predictions, tolerance):
    height, width = labels.shape
    distance = tolerance * math.sqrt(height ** 2 + width ** 2)
    predictions = [[255 if labels[row, column] == 255 else predictions[row, column] for column in range(width)]
                   for row in range(height)]
    scores = []
    for number in range(NUM_CLASSES):
        true, predicted = brute_boundary(labels, number), brute_boundary(np.array(predictions), number)

        def share(points, others):
            return sum(any(math.dist(one, other) < distance for other in others) for one in points) / len(points)

        if not true and not predicted:
            scores.append(None)
        elif not true or not predicted:
            scores.append(0)
        else:
            precision, recall = share(predicted, true), share(true, predicted)
            scores.append(precision and recall and 2 / (1 / precision + 1 / recall))
    return scores


@pytest.mark.parametrize('ignored', [True, False])
@pytest.mark.parametrize('tolerance', [0.0075, 0.04, 0.11, 1.5])
def test_boundary_scores_are_those_of_brute_force(tolerance, ignored):
    for seed in range(3):
        labels, predictions = random_pair(seed, 14, 19 + seed, 4, ignored)
        found = metrics.boundary_f_scores(labels, predictions, NUM_CLASSES, tolerance=tolerance)
        assert found == pytest.approx(brute_scores(labels, predictions, tolerance))
        assert found[4] is None
        assert tolerance > 1 or any(0 < score < 1 for score in found[:4])


@pytest.mark.parametrize(('shift', 'near'), [(0, True), (3, True), (4, False)])
def test_tolerance_is_measured_in_the_diagonal(shift, near):
    labels = np.zeros([300, 400], int)  # 0.75 % of 500 are 3.75 pixels
    labels[100:200, 100:200] = 1
    scores = metrics.boundary_f_scores(labels, np.roll(labels, shift, 1), 2)
    assert (scores[1] == 1) is near
    if not near:
        assert 0.4 < scores[1] < 0.6


def test_means_of_boundary_scores_are_over_images():
    pairs = [random_pair(seed, 14, 20, classes) for seed, classes in ((0, 2), (1, 4), (2, 3))]
    each = [metrics.boundary_f_scores(*pair, NUM_CLASSES) for pair in pairs]
    empty = np.zeros([6, 6], int)
    counted = add_all([*pairs, (empty, empty)])
    assert counted.boundary_f() == pytest.approx(np.mean([
        np.mean([score for score in scores if score is not None]) for scores in each]))
    for number, found in enumerate(counted.per_class_boundary_f()):
        scores = [image[number] for image in each if image[number] is not None]
        assert found == (pytest.approx(np.mean(scores)) if scores else None)


def test_what_is_ignored_changes_nothing():
    labels, predictions = random_pair(3)
    other = np.where(labels == 255, 77, predictions)
    assert add_all([(labels, predictions)]).summary() == add_all([(labels, other)]).summary()
    as_class = metrics.Metrics(NUM_CLASSES, ignore_label=0)
    as_class.add(np.where(labels == 255, 0, labels), predictions)
    zero = np.where(labels == 0, 255, labels)
    np.testing.assert_array_equal(as_class.confusion, add_all([(zero, predictions)]).confusion)


def test_perfect_predictions_score_one_though_an_ignored_band_is_around_all_things():
    labels = np.zeros([40, 40], int)
    labels[10:30, 12:28] = 1
    perfect = labels.copy()
    labels[8:12, 8:32] = labels[28:32, 8:32] = labels[8:32, 10:14] = labels[8:32, 26:30] = 255
    summary = add_all([(labels, perfect)]).summary()
    assert summary['boundary_f'] == summary['mean_iou'] == 1
    missed = add_all([(labels, np.zeros_like(perfect))]).summary()
    assert missed['per_class_boundary_f'][:2] == [pytest.approx(0.84, abs=0.16), 0]


def test_nothing_counted_is_none_and_not_a_number_never_comes_out():
    for counted in (metrics.Metrics(3), add_all([(np.full([4, 4], 255), np.zeros([4, 4], int))])):
        summary = counted.summary()
        means = ('mean_iou', 'pixel_accuracy', 'mean_accuracy', 'frequency_weighted_iou', 'boundary_f')
        assert {key: summary[key] for key in means} == dict.fromkeys(means)
        assert 'NaN' not in json.dumps(summary)


def test_numbers_of_one_image_come_back():
    labels, predictions = random_pair(5)
    counted = metrics.Metrics(NUM_CLASSES)
    counted.add(*random_pair(6))
    alone = add_all([(labels, predictions)])
    assert counted.add(labels, predictions) == (alone.mean_iou(), alone.boundary_f())
    without = metrics.Metrics(NUM_CLASSES, boundary_tolerance=None)
    assert without.add(labels, predictions) == (alone.mean_iou(), None)
    assert without.boundary_f() is None


@pytest.mark.parametrize(('labels', 'predictions', 'words'), [
    ([[0, 5]], [[0, 0]], "labels of 'a' must be from 0 to 4, but where the label is 255; got 5"),
    ([[0, 1]], [[0, -1]], "predictions of 'a' must be .*; got -1"),
    ([[0, 1]], [[0], [1]], r"of 'a' must have one shape, .* got \[1, 2\] and \[2, 1\]"),
    ([0], [0], r'got \[1\] and \[1\]')])
def test_what_is_no_class_is_explained(labels, predictions, words):
    with pytest.raises(ValueError, match=words):
        metrics.Metrics(NUM_CLASSES).add(labels, predictions, b'a')
