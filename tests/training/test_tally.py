"""Counting against naive loops over single examples."""

import numpy as np
import pytest

from nets.training import tally


def _batches(rng, classes, sizes, ties=False):
    for size in sizes:
        logits = rng.randint(-2, 3, (size, classes)) if ties else rng.randn(size, classes)
        yield logits.astype(np.float32), rng.randint(0, classes, size)


@pytest.mark.parametrize('ties', [False, True])
@pytest.mark.parametrize('classes', [3, 5, 12])
def test_against_one_example_at_a_time(classes, ties):
    rng = np.random.RandomState(classes)
    counted = tally.Tally(classes)
    top_1 = top_5 = count = 0
    loss, confusion = 0.0, np.zeros((classes, classes))
    for logits, labels in _batches(rng, classes, [7, 1, 13], ties):
        names = [b'%d' % number for number in range(len(labels))]
        counted.add(logits, labels, names, names)
        for row, label in zip(logits.astype(float), labels, strict=True):
            order = sorted(range(classes), key=lambda one: (-row[one], one))
            top_1 += order[0] == label
            top_5 += label in order[:5]
            loss -= np.log(np.exp(row[label]) / np.exp(row).sum())
            confusion[label, order[0]] += 1
            count += 1
    assert counted.count == count == 21
    assert counted.top_1_accuracy() == pytest.approx(top_1 / count)
    assert counted.top_k_accuracy() == pytest.approx(top_5 / count)
    assert counted.loss() == pytest.approx(loss / count)
    np.testing.assert_array_equal(counted.confusion, confusion)
    for own, row, label in zip(counted.per_class_accuracy(), confusion, range(classes), strict=True):
        assert own is None if not row.sum() else own == row[label] / row.sum()


def test_top_k_of_few_classes_is_not_above_their_number():
    assert tally.Tally(3).top_k == 3
    assert tally.Tally(1000).top_k == 5


def test_worst_mistakes_are_kept_over_batches_and_right_answers_never():
    counted = tally.Tally(2, kept_mistakes=2)
    margins = [1.0, 3.0, -4.0, 2.0]
    for number, margin in enumerate(margins):
        counted.add([[0.0, margin]], [0], [b'%d' % number], [b'png%d' % number])
    assert [(one.name, one.encoded, one.label, one.predicted) for one in counted.mistakes] == [
        (b'1', b'png1', 0, 1), (b'3', b'png3', 0, 1)]
    assert counted.mistakes[0].confidence == pytest.approx(1 / (1 + np.exp(-3.0)))


def test_huge_logits_do_not_overflow():
    counted = tally.Tally(2)
    counted.add([[1e30, 0.0]], [0], [b'a'], [b''])
    assert counted.loss() == 0


def test_nothing_counted_is_not_a_number():
    assert np.isnan(tally.Tally(2).top_1_accuracy())


@pytest.mark.parametrize(('logits', 'label', 'message'), [
    ([[0.0, 1.0]], 2, 'label of some.png is 2, and the network has 2 classes'),
    ([[0.0, 1.0]], -1, 'label of some.png is -1'),
    ([[0.0, np.nan]], 0, 'logits of some.png are not finite'),
    ([[np.inf, 0.0]], 0, 'logits of some.png are not finite'),
])
def test_what_cannot_be_counted_names_the_image(logits, label, message):
    with pytest.raises(ValueError, match=message):
        tally.Tally(2).add(logits, [label], [b'some.png'], [b''])
