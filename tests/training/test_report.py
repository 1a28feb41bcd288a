"""The report: complete, self-contained, and safe with any name."""

import re

import numpy as np
import pytest
from page_parser import Parser

from nets.data import images
from nets.training import charts, report, tally

PNG = images.encode_grey_png(np.zeros([2, 2], np.uint8))
NASTY = '<script>alert("x")</script>&\''


def _details(classes=3, **values):
    confusion = np.eye(classes, dtype=int) * 8
    confusion[0, 1] = 2
    accuracy = [0.8] + [1.0] * (classes - 1)
    names = [NASTY] + [f'class {number}' for number in range(1, classes)]
    total = int(confusion.sum())
    return dict({
        'top_1': 1 - 2 / total, 'top_5': 1.0, 'loss': 0.25, 'num_examples': total, 'num_skipped': 0,
        'num_classes': classes, 'dataset_name': 'image_folder', 'dataset_split_name': 'test',
        'model_name': 'tiny',
        'checkpoint_path': '/tmp/model.ckpt-1200', 'global_step': 1200,
        'evaluated_at': '2026-01-02T03:04:05+00:00',
        'class_names': names, 'per_class_accuracy': accuracy, 'confusion_matrix': confusion.tolist(),
        'skipped': []}, **values)


def _page(details=None, metrics=(), mistakes=()):
    return report.page(details or _details(), list(metrics), list(mistakes), [PNG] * len(mistakes))


def test_needs_nothing_from_elsewhere_and_escapes_names():
    mistake = tally.Mistake(0.9, NASTY.encode() + b'\xff.png', 0, 1, PNG)
    page = _page(_details(skipped=[NASTY], num_skipped=1),
                 [{'step': 1, 'loss': 2.0}, {'step': 2, 'loss': 1.0}],
                 [mistake])
    parsed = Parser(page)
    assert not {tag for tag, _ in parsed.tags} & {'script', 'link', 'iframe', 'object'}
    assert not re.findall(r'(?:src|href)\s*=\s*"(?!data:)|(?:src|href)\s*=\s*[^"\s]|url\(|@import', page)
    sources = [attributes['src'] for tag, attributes in parsed.tags if tag == 'img']
    assert len(sources) == 1
    assert sources[0].startswith('data:image/png;base64,')
    assert parsed.text.count('alert("x")') >= 5
    assert 'prefers-color-scheme: dark' in page


def test_says_the_numbers():
    text = ' '.join(Parser(_page()).text.split())
    for expected in ('tiny on image_folder/test', '92.31 %', 'top-1 accuracy', 'top-3 accuracy', '0.2500',
                     'step 1,200', '80.00 %'):
        assert expected in text
    assert f'2 × {NASTY} taken for class 1' in text


def test_classes_without_examples_and_an_evaluation_without_mistakes_or_training():
    details = _details()
    details['confusion_matrix'] = [[4, 0, 0], [0, 0, 0], [0, 0, 3]]
    details['per_class_accuracy'] = [1.0, None, 1.0]
    parsed = Parser(_page(details))
    assert 'Training' not in parsed.text
    assert 'None at all.' in parsed.text
    assert 'Most often confused' not in parsed.text


def test_many_classes_become_a_picture_and_the_worst_are_listed():
    page = _page(_details(200))
    parsed = Parser(page)
    assert 'table' not in {tag for tag, _ in parsed.tags}
    assert 'img' in {tag for tag, _ in parsed.tags}
    assert 'The 60 worst of 200 classes.' in parsed.text
    assert len(page) < 100_000


@pytest.mark.parametrize(('low', 'high'), [
    (0, 1), (0.031, 0.87), (-3, 4e5), (1e-9, 2e-9), (5, 5), (0, 0), (1e-17, 3e-17), (1, 1 + 1e-15)])
def test_ticks_enclose_the_range_in_round_even_steps(low, high):
    ticks = charts.nice_ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= 7
    steps = np.diff(ticks)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-3)


def test_curve_goes_through_its_points_and_ends_at_the_last():
    chart = charts.line_chart([[(0, 0.0), (5, float('nan')), (10, 1.0)]], 'loss')
    points = [tuple(map(float, pair.split(','))) for pair in re.search(r'points="(.+?)"', chart).group(1).split()]
    assert len(points) == 2
    assert points[0][0] < points[1][0]
    assert points[0][1] > points[1][1]
    many = charts.line_chart([[(step, float(step)) for step in range(100_001)]], 'loss')
    assert len(re.search(r'points="(.+?)"', many).group(1).split()) <= 400
    assert '100,000</text>' in many
    assert charts.line_chart([[], [(0, float('inf'))]], 'loss') == ''


def test_chart_of_one_point_is_a_dot_in_the_middle_and_the_marked_one_has_a_ring():
    chart = charts.line_chart([[(7, 0.25)]], 'top-1', (7, 0.25))
    dot, ring = (re.search(rf'class="{name}[^"]*" cx="(.+?)" cy="(.+?)"', chart).groups() for name in ('dot', 'mark'))
    assert dot == ring
    assert float(dot[0]) == pytest.approx((64 + 520 - 12) / 2)
    assert 'polyline' not in chart
