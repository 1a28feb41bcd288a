import sys

import numpy as np
import pytest
import sklearn.datasets

from nets.data.segmentation import datasets, shapes

SIZE = 64


def test_images_depend_on_seed_split_and_number_alone():
    first = shapes.draw('train', 3, SIZE)
    for again, equal in ((('train', 3, SIZE), True), (('train', 4, SIZE), False), (('validation', 3, SIZE), False),
                         (('train', 3, SIZE, 1), False)):
        assert np.array_equal(shapes.draw(*again)[0], first[0]) is equal


def test_every_shape_is_drawn_in_many_sizes_and_colours():
    drawn = [shapes.draw('train', number, SIZE) for number in range(150)]
    counts = np.array([np.bincount(label.ravel(), minlength=5) for _, label in drawn])
    assert counts.shape == (150, 5)
    assert ((counts > 0).sum(axis=0) > 20).all()
    assert (counts[:, 0] > SIZE ** 2 / 4).all()
    # Shapes of the least radius and of the largest have areas that differ by more than three times.
    for number in range(1, 5):
        areas = counts[:, number][counts[:, number] > 0]
        assert areas.max() > 2.5 * areas.min()
    means = np.array([image[label > 0].mean(axis=0) for image, label in drawn if (label > 0).any()])
    assert means.std(axis=0).min() > 25


def test_the_parts_of_training_and_validation_do_not_overlap():
    pixels = {split: {photograph.tobytes() for photograph in shapes._photographs(split)}
              for split in shapes.NUM_EXAMPLES}
    for number, photograph in enumerate(sklearn.datasets.load_sample_images().images):
        left, right = (np.asarray(shapes._photographs(split)[number]) for split in ('train', 'validation'))
        np.testing.assert_array_equal(np.concatenate([left, right], axis=1), photograph)
    assert len(pixels['train'] | pixels['validation']) == 4


def test_batches_hold_what_is_drawn(collect, make_label_batches):
    dataset = datasets.get_dataset('shapes', 'validation', num_examples=3, size=SIZE, seed=7)
    assert (dataset.num_examples, dataset.num_classes, dataset.class_names[0]) == (3, 5, 'background')
    batches = collect(make_label_batches(dataset, False, 1, size=(None, None)))
    assert [batch['name'][0] for batch in batches] == [b'shapes/validation/%06d.png' % number for number in range(3)]
    for number, batch in enumerate(batches):
        image, label = shapes.draw('validation', number, SIZE, 7)
        np.testing.assert_array_equal(batch['label'][0], label)
        np.testing.assert_allclose(batch['image'][0] + [123.68, 116.779, 103.939], image, atol=1e-4)
    assert datasets.get_dataset('shapes', 'train').num_examples == 512


@pytest.mark.parametrize(('split', 'options', 'words'), [
    ('test', {}, "must be one of train, validation for the data set \"shapes\"; got 'test'"),
    ('train', {'size': 31}, 'at least 32 pixels, and one or more; got 512 of 31 pixels'),
    ('train', {'num_examples': 0}, 'got 0 of 97 pixels')])
def test_bad_arguments_are_explained(split, options, words):
    with pytest.raises(ValueError, match=words):
        datasets.get_dataset('shapes', split, **options)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    shapes._photographs.cache_clear()
    monkeypatch.setitem(sys.modules, 'sklearn.datasets', None)
    with pytest.raises(ImportError, match=r"pip install '\.\[demo\]'"):
        datasets.get_dataset('shapes', 'train')
