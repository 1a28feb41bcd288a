"""Folders of small photographs with labels."""

import os

import numpy as np
import pytest

from nets.data import pipeline
from nets.data.segmentation import augmentation, label_images
from nets.data.segmentation import pipeline as label_pipeline

NUM_CLASSES = 4


def labels_of(height, width, number=0):
    """Labels with all of four classes and some pixels to ignore, int `[height, width]`."""
    rows, columns = np.mgrid[:height, :width]
    labels = (rows // 3 + columns // (2 + number)) % NUM_CLASSES
    labels[-1] = 255
    return labels


@pytest.fixture
def write_pairs(tmp_path, photo, encode):
    """A function that writes `images` and `labels`, with names such as `validation/b.jpg`.

    Entries of `labels`, by a name without its extension, are put instead of the usual ones: bytes, or None for none.
    """
    def write(names, labels=None, folders=('images', 'labels'), class_names='abcd'):
        for number, name in enumerate(names):
            stem, extension = os.path.splitext(name)
            height, width = 20 + number, 26 - number
            pair = [tmp_path / folder / name for folder in folders]
            for path in pair:
                path.parent.mkdir(parents=True, exist_ok=True)
            pair[0].write_bytes(encode(photo(height, width, number), 'PNG' if extension == '.png' else 'JPEG'))
            content = (labels or {}).get(stem, label_images.encode(labels_of(height, width, number),
                                                                   label_images.voc_palette()))
            if content is not None:
                pair[1].with_suffix('.png').write_bytes(content)
        if class_names:
            (tmp_path / 'classes.txt').write_text('\n'.join(class_names) + '\n')
        return os.fspath(tmp_path)

    return write


@pytest.fixture(scope='session')
def make_label_batches():
    """A function that makes batches of 16x24 pixels, or of other sizes."""
    def make(dataset, is_training, batch_size=2, share=None, size=(16, 24), name='vgg', **options):
        share = (share or pipeline.Share(0)) if is_training else None
        preprocess = augmentation.get_preprocessing(name, is_training)
        return label_pipeline.batches(dataset, preprocess, *size, batch_size, share, **options)

    return make
