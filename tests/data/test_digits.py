import hashlib
import io
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from nets.data import digits


def test_parts_are_disjoint_and_hold_every_image():
    targets = load_digits().target
    train, held_out = (digits.split_indices(targets, flag) for flag in (False, True))
    assert (len(train), len(held_out)) == (1437, 360)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, held_out])), np.arange(1797))


def test_every_digit_is_held_out_in_proportion():
    targets = load_digits().target
    held_out = np.bincount(targets[digits.split_indices(targets, True)], minlength=10)
    assert np.abs(held_out - np.bincount(targets) * 360 / 1797).max() < 1


def test_split_never_changes():
    indices = digits.split_indices(load_digits().target, True).astype('<i8')
    assert hashlib.sha256(indices.tobytes()).hexdigest() == (
        'd971ab24951548c14ce285629ba8e8f79ee0f2e4f37ca8e360ffc14c4d5a40e3')


@pytest.mark.parametrize(('held_out', 'folder'), [(False, 'train'), (True, 'test')])
def test_files_hold_the_pixels_and_labels_of_scikit_learn(held_out, folder):
    source = load_digits()
    names, labels, encoded = digits.load(held_out)
    assert len(names) == len(labels) == len(encoded) == len(set(names))
    for name, label, file in zip(names, labels, encoded, strict=True):
        index = int(name.removeprefix(f'digits/{folder}/'))
        assert label == source.target[index]
        pixels = np.asarray(Image.open(io.BytesIO(file)))
        # 16 dots are white, and nothing is lost.
        np.testing.assert_array_equal(np.rint(pixels / 255 * 16), source.images[index])


def test_missing_scikit_learn_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn.datasets', None)
    with pytest.raises(ImportError, match=r'pip install "nets\[demo\]"'):
        digits.load(False)
