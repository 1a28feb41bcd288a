import os
import shutil

import pytest

from nets.data.segmentation import datasets, folders


def write_voc(write_pairs, tmp_path, lists, labels='SegmentationClass'):
    folder = write_pairs(['a.jpg', 'b.jpeg', 'c.JPG'], folders=('JPEGImages', labels), class_names=None)
    place = tmp_path / 'ImageSets' / 'Segmentation'
    place.mkdir(parents=True)
    for name, lines in lists.items():
        (place / f'{name}.txt').write_text('\n'.join(lines))
    return folder


@pytest.mark.parametrize('labels', ['SegmentationClass', 'SegmentationClassRaw'])
def test_voc_layout(labels, write_pairs, tmp_path):
    folder = write_voc(write_pairs, tmp_path, {'train': ['c', 'a', ''], 'val': ['b '], 'trainval': 'abc'}, labels)
    found = {split: folders.load(folder, split) for split in ('train', 'validation', 'val', 'trainval')}
    assert found['train'] == (
        ['JPEGImages/c.JPG', 'JPEGImages/a.jpg'], [f'{folder}/JPEGImages/c.JPG', f'{folder}/JPEGImages/a.jpg'],
        [f'{folder}/{labels}/c.png', f'{folder}/{labels}/a.png'])
    assert found['validation'] == found['val']
    assert found['val'][0] == ['JPEGImages/b.jpeg']
    assert len(found['trainval'][0]) == 3
    dataset = datasets.get_dataset('voc', 'train', folder)
    assert (dataset.num_classes, dataset.class_names[15], dataset.ignore_label) == (21, 'person', 255)
    assert (dataset.num_examples, dataset.split_name) == (2, 'train')


def test_plain_layout_with_folders_for_splits(write_pairs):
    folder = write_pairs(['train/a.jpg', 'train/city/a.png', 'val/a.jpg'])
    assert folders.load(folder, 'train')[0] == ['images/train/a.jpg', 'images/train/city/a.png']
    names, image_paths, label_paths = folders.load(folder, 'validation')
    assert names == ['images/val/a.jpg']
    assert [os.path.relpath(path, folder) for path in image_paths + label_paths] == [
        'images/val/a.jpg', 'labels/val/a.png']
    assert datasets.get_dataset('voc', 'test', folder).class_names == ('a', 'b', 'c', 'd')


def test_plain_layout_without_folders_for_splits_is_split_by_name(write_pairs):
    folder = write_pairs([f'{number:02d}.jpg' for number in range(9)])
    train, held_out = (set(folders.load(folder, split)[0]) for split in ('train', 'validation'))
    assert not train & held_out
    assert len(train | held_out) == 9
    assert held_out
    os.remove(os.path.join(folder, sorted(train)[0]))
    assert set(folders.load(folder, 'validation')[0]) == held_out


@pytest.mark.parametrize(('file', 'content', 'names'), [
    ('labels.txt', '0:sky\n2:tree\n', ('sky', '1', 'tree')), ('classes.txt', 'sky\n\n tree \n', ('sky', 'tree'))])
def test_own_classes_go_before_those_of_voc(file, content, names, write_pairs, tmp_path):
    folder = write_voc(write_pairs, tmp_path, {'train': 'a'})
    (tmp_path / file).write_text(content)
    assert datasets.get_dataset('voc', 'train', folder).class_names == names


def test_many_classes_have_another_ignore_label(write_pairs):
    folder = write_pairs(['train/a.jpg'], class_names=None)
    for given, expected in (({'num_classes': 255}, 255), ({'num_classes': 256}, 65535),
                            ({'num_classes': 151, 'ignore_label': 0}, 0)):
        dataset = datasets.get_dataset('voc', 'train', folder, **given)
        assert (dataset.num_classes, dataset.ignore_label) == (given['num_classes'], expected)
        assert dataset.class_names[150] == '150'


def remove(*path):
    def change(folder):
        target = os.path.join(folder, *path)
        shutil.rmtree(target) if os.path.isdir(target) else os.remove(target)
    return change


def empty(*path):
    def change(folder):
        open(os.path.join(folder, *path), 'w').close()
    return change


@pytest.mark.parametrize(('change', 'split', 'words'), [
    (remove('labels', 'train', 'b.png'), 'train', r'1 of the 2 photographs .*missing: labels/train/b.png'),
    (remove('labels'), 'train', 'must hold the folders JPEGImages and SegmentationClass, .*; it holds images'),
    (lambda folder: [remove('images')(folder), os.mkdir(folder + '/images')], 'train', "images' must hold images"),
    (lambda folder: [remove('labels')(folder), os.mkdir(folder + '/labels')], 'train', "labels' must hold images"),
    (lambda folder: None, 'test', "no folder for the split 'test'; it has train"),
    (lambda folder: None, 'trainval', "split_name must be one of train, validation, test .*got 'trainval'"),
    (empty('images', 'train', 'a.png'), 'train', r'both train/a.jpg and train/a.png'),
    (remove('classes.txt'), 'train', 'classes of .* are not known. Write .*labels.txt'),
    (empty('classes.txt'), 'train', "classes.txt' must have the name of a class on each line; it is empty"),
])
def test_plain_folders_that_are_not_as_they_should_be(change, split, words, write_pairs):
    folder = write_pairs(['train/a.jpg', 'train/b.jpg'])
    change(folder)
    with pytest.raises(ValueError, match=words):
        datasets.get_dataset('voc', split, folder)


@pytest.mark.parametrize(('change', 'split', 'words'), [
    (remove('SegmentationClass', 'a.png'), 'train', 'missing: SegmentationClass/a.png'),
    (remove('JPEGImages', 'a.jpg'), 'train', r"1 of the 2 images that .*train.txt' lists are not in .*: a\."),
    (empty('ImageSets', 'Segmentation', 'train.txt'), 'train', 'must have the name of an image on each line; it is em'),
    (lambda folder: None, 'validation', "no list of the split 'validation'; it has lists of train"),
])
def test_voc_folders_that_are_not_as_they_should_be(change, split, words, write_pairs, tmp_path):
    folder = write_voc(write_pairs, tmp_path, {'train': 'ab'})
    change(folder)
    with pytest.raises(ValueError, match=words):
        datasets.get_dataset('voc', split, folder)


@pytest.mark.parametrize(('arguments', 'words'), [
    ({'name': 'coco'}, "must be one of shapes, voc, tfrecords; got 'coco'"),
    ({'dataset_dir': None}, 'must be the folder with the photographs .*got None'),
    ({'num_classes': 0}, 'num_classes must be from 1 to 65535; got 0'), ({'num_classes': 65536}, 'got 65536'),
    ({'num_classes': 5}, 'num_classes must be the number of the classes that .* names, 4; got 5'),
    ({'ignore_label': 65536}, 'ignore_label must be from 0 to 65535; got 65536'),
    ({'ignore_label': -1}, 'got -1'),
    ({'size': 64}, "'voc' takes no size"),
    ({'file_pattern': 'x'}, "'voc' takes no file_pattern; got 'x'"),
    ({'name': 'shapes'}, "'shapes' takes no dataset_dir"),
    ({'name': 'tfrecords'}, "holds no TFRecord files of the split 'train'"),
    ({'name': 'tfrecords', 'dataset_dir': 'x'}, "got 'x', which is no folder"),
])
def test_bad_arguments_are_explained(arguments, words, write_pairs):
    folder = write_pairs(['train/a.jpg'])
    with pytest.raises(ValueError, match=words):
        datasets.get_dataset(**{'name': 'voc', 'split_name': 'train', 'dataset_dir': folder, **arguments})


def test_labels_without_a_photograph_are_told(write_pairs, caplog):
    folder = write_pairs(['train/a.jpg', 'train/b.jpg'])
    os.remove(os.path.join(folder, 'images', 'train', 'b.jpg'))
    assert datasets.get_dataset('voc', 'train', folder).num_examples == 1
    assert '1 label images in' in caplog.text
    assert 'train/b.png' in caplog.text
