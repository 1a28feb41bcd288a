import os

import pytest

from nets.data import image_folder


def files_of(*names, count):
    return {f'{name}/{index}.jpg': b'' for name in names for index in range(count)}


def load_names(folder, split_name):
    """`(class_names, {relative path: label})`."""
    class_names, paths, labels = image_folder.load(folder, split_name)
    assert len(set(paths)) == len(paths) == len(labels)
    return class_names, {os.path.relpath(path, folder): label
                         for path, label in zip(paths, labels, strict=True)}


def test_parts_are_disjoint_hold_every_image_and_share_the_classes(write_folder):
    files = files_of('rose', 'daisy', 'tulip', count=100)
    folder = write_folder(files)
    class_names, train = load_names(folder, 'train')
    assert class_names == ['daisy', 'rose', 'tulip']
    for split_name in ('validation', 'test'):
        other_names, held_out = load_names(folder, split_name)
        assert other_names == class_names
        assert not set(train) & set(held_out)
        assert set(train) | set(held_out) == set(files)
    for path, label in {**train, **held_out}.items():
        assert class_names[label] == os.path.dirname(path)
    assert 0.1 < len(held_out) / len(files) < 0.3


def test_split_depends_neither_on_the_place_nor_on_other_images(write_folder):
    first = load_names(write_folder(files_of('a', 'b', count=50), 'one'), 'test')[1]
    second = load_names(write_folder(files_of('a', 'b', 'c', count=90), 'two'), 'test')[1]
    assert set(first) == {path for path in second if path[0] != 'c' and int(path[2:-4]) < 50}


@pytest.mark.parametrize('count', [2, 3, 4, 5])
def test_every_class_of_two_is_in_both_parts(count, write_folder):
    # So few images in so many classes that some classes would fall to one side altogether.
    folder = write_folder(files_of(*'abcdefghijklmnopqrstuvwxyz', count=count))
    for split_name in ('train', 'test'):
        assert set(load_names(folder, split_name)[1].values()) == set(range(26))


def test_single_image_is_for_training(write_folder):
    folder = write_folder({**files_of('many', count=9), **files_of(*'abcdefgh', count=1)})
    class_names, train = load_names(folder, 'train')
    assert {class_names[label] for label in train.values()} == {'many', *'abcdefgh'}
    class_names, held_out = load_names(folder, 'test')
    assert {class_names[label] for label in held_out.values()} == {'many'}
    assert len(class_names) == 9


def test_images_by_extension_without_hidden_files(write_folder):
    wanted = {f'a/{name}' for name in ('1.jpg', '2.jpeg', '3.png', '4.JPG', '5.Png', 'ö ü.jpg')}
    others = {f'a/{name}' for name in ('._1.jpg', '.DS_Store', 'notes.txt', 'x.webp')}
    folder = write_folder(dict.fromkeys(wanted | others | {'.git/x.jpg', '__MACOSX/y.jpg', 'z.jpg'}, b''))
    found = [path for split_name in ('train', 'test') for path in load_names(folder, split_name)[1]]
    assert set(found) == wanted


def test_images_outside_of_the_classes_are_told(write_folder, caplog):
    folder = write_folder({'cat/1.jpg': b'', 'cat/2.jpg': b'', 'loose.png': b''})
    load_names(folder, 'train')
    assert f"1 images in {str(folder)!r} are in no folder of a class" in caplog.text
    assert "such as 'loose.png'" in caplog.text


@pytest.mark.parametrize(('train', 'held_out'), [('train', 'val'), ('training', 'test'),
                                                   ('train', 'validation')])
def test_given_split_folders_are_used(train, held_out, write_folder):
    folder = write_folder({f'{train}/b/1.jpg': b'', f'{train}/a/2.jpg': b'', f'{held_out}/b/3.jpg': b''})
    assert load_names(folder, 'train') == (['a', 'b'], {f'{train}/a/2.jpg': 0, f'{train}/b/1.jpg': 1})
    for split_name in ('validation', 'test'):
        assert load_names(folder, split_name) == (['a', 'b'], {f'{held_out}/b/3.jpg': 1})


def test_validation_and_test_folders_are_kept_apart(write_folder):
    folder = write_folder({'train/a/1.jpg': b'', 'val/a/2.jpg': b'', 'test/a/3.jpg': b''})
    assert load_names(folder, 'validation')[1] == {'val/a/2.jpg': 0}
    assert load_names(folder, 'test')[1] == {'test/a/3.jpg': 0}


def test_folder_with_a_test_part_only_can_be_evaluated(write_folder):
    folder = write_folder({'test/a/1.jpg': b'', 'test/b/3.jpg': b''})
    assert load_names(folder, 'test') == (['a', 'b'], {'test/a/1.jpg': 0, 'test/b/3.jpg': 1})
    with pytest.raises(ValueError, match="no folder for the split 'train'; it has test. Name it one of tr"):
        image_folder.load(folder, 'train')


def test_class_may_be_called_train(write_folder):
    folder = write_folder(files_of('car', 'train', count=3))
    assert image_folder.load(folder, 'train')[0] == ['car', 'train']


@pytest.mark.parametrize(('files', 'words'), [
    ({}, 'must be a folder .* got .*images.*, which is no folder'),
    ({'lonely.jpg': b''}, 'it holds no folders'),
    ({'a/1.jpg': b'', 'b/notes.txt': b'', 'c/x.gif': b''}, r'no such images in b, c\. Add images or remove'),
    ({'train/a/1.jpg': b'', 'val/x/1.jpg': b''}, "'val' of .* has classes that 'train' has not: x. Rename"),
])
def test_unusable_folders_are_explained(files, words, write_folder):
    with pytest.raises(ValueError, match=words):
        image_folder.load(write_folder(files), 'validation')


def test_nothing_held_out_is_an_error(write_folder):
    with pytest.raises(ValueError, match="no images for the split 'test' .* 2 classes has one image only"):
        image_folder.load(write_folder(files_of('a', 'b', count=1)), 'test')


@pytest.mark.parametrize('folder', [None, ''])
def test_folder_must_be_given(folder):
    with pytest.raises(ValueError, match='must be a folder that holds one folder for each class'):
        image_folder.load(folder, 'train')


def test_unknown_split_lists_the_known(write_folder):
    with pytest.raises(ValueError, match="one of train, validation, test .*; got 'eval'"):
        image_folder.load(write_folder(files_of('a', count=1)), 'eval')
