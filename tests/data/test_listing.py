import os

import pytest

from nets.data import listing


@pytest.fixture
def write_csv(tmp_path):
    """A function that writes a file of lines; it returns the path."""
    def write(*lines, encoding='utf-8'):
        path = tmp_path / 'list.csv'
        path.write_bytes('\n'.join(lines).encode(encoding))
        return os.fspath(path)

    return write


def test_folder_gives_its_images_and_classes(write_folder):
    folder = write_folder({'train/b/1.jpg': b'', 'train/a/2.jpg': b'', 'validation/b/3.png': b''})
    found = listing.read(folder, 'train')
    assert found == (['train/a/2.jpg', 'train/b/1.jpg'],
                     [os.path.join(folder, 'train', 'a', '2.jpg'), os.path.join(folder, 'train', 'b', '1.jpg')],
                     [0, 1], ['a', 'b'])
    assert listing.read(folder, 'validation')[::2] == (['validation/b/3.png'], [1])


def test_held_out_part_is_chosen_by_its_fraction(write_folder):
    folder = write_folder({f'{name}/{index}.jpg': b'' for name in 'ab' for index in range(100)})
    for fraction, least, most in ((None, 25, 60), (0.5, 75, 125), (0.05, 2, 25)):
        held_out = listing.read(folder, 'validation', fraction).names
        train = listing.read(folder, 'train', fraction).names
        assert least < len(held_out) < most
        assert len(train) + len(held_out) == len({*train, *held_out}) == 200
    assert len(listing.read(folder, 'train', 0).names) == 200
    with pytest.raises(ValueError, match='or nothing is held out'):
        listing.read(folder, 'validation', 0)


@pytest.mark.parametrize(('files', 'fraction', 'words'), [
    (['a/1.jpg'], 1, 'at least 0 and less than 1; got 1'),
    (['a/1.jpg'], -0.1, 'got -0.1'),
    (['train/a/1.jpg'], 0.1, 'is split already, into train; got a held_out_fraction of 0.1'),
])
def test_bad_fractions_are_explained(files, fraction, words, write_folder):
    with pytest.raises(ValueError, match=words):
        listing.read(write_folder(dict.fromkeys(files, b'')), 'train', fraction)


def test_classes_known_beforehand_number_those_of_a_folder(write_folder):
    folder = write_folder({'train/b/1.jpg': b'', 'train/a/2.jpg': b''})
    found = listing.read(folder, 'train', class_names=('background', 'b', 'c', 'a'))
    assert (found.labels, found.class_names) == ([3, 1], ['background', 'b', 'c', 'a'])
    with pytest.raises(ValueError, match="classes that are not, .* among the 2 known ones: a. "):
        listing.read(folder, 'train', class_names=('b', 'c'))
    with pytest.raises(ValueError, match='not only once, among the 3 known ones: a'):
        listing.read(folder, 'train', class_names=('a', 'b', 'a'))


@pytest.mark.parametrize('header', [[], ['path,label'], ['Path, Label']])
def test_csv_with_names(header, write_csv):
    path = write_csv(*header, 'x/1.jpg,dog', '', '"a, b.png", cat ', 'x/2.jpg,dog')
    names = ['x/1.jpg', 'a, b.png', 'x/2.jpg']
    root = os.path.dirname(path)
    assert listing.read(path, 'any') == (names, [os.path.join(root, name) for name in names], [1, 0, 1], ['cat', 'dog'])


def test_csv_with_numbers(write_csv):
    path = write_csv('a.jpg,2', 'b.jpg,0')
    assert listing.read(path, 'x')[2:] == ([2, 0], ['0', '1', '2'])
    assert listing.read(path, 'x', class_names=('u', 'v', 'w', 'x'))[2:] == ([2, 0], ['u', 'v', 'w', 'x'])
    with pytest.raises(ValueError, match="labels of .*list.csv' go up to 2; there are 2 classes, numbered from 0"):
        listing.read(path, 'x', class_names=('u', 'v'))


def test_csv_with_numbers_that_are_names(write_csv):
    assert listing.read(write_csv('a.jpg,10', 'b.jpg,9'), 'x', class_names=('9', '10')).labels == [1, 0]
    assert listing.read(write_csv('a.jpg,10', 'b.jpg,x'), 'x')[2:] == ([0, 1], ['10', 'x'])


def test_csv_of_any_encoding_and_absolute_paths(write_csv):
    found = listing.read(write_csv('/far/grün.jpg,a', encoding='latin-1'), 'x')
    assert [os.fsencode(path) for path in found.paths] == [b'/far/gr\xfcn.jpg']
    assert listing.read(write_csv('\ufeffgrün.jpg,a'), 'x').names == ['grün.jpg']


@pytest.mark.parametrize(('lines', 'words'), [
    ([], 'must have a line PATH,LABEL for each image; it has none'),
    (['path,label'], 'it has none'),
    (['a.jpg,x', 'b.jpg'], "Line 2 of .*list.csv' must be PATH,LABEL; got 'b.jpg'"),
    (['a.jpg,x,1'], "got 'a.jpg,x,1'"),
    (['a.jpg, '], "got 'a.jpg, '"),
    (['a.jpg,x', '', 'a.jpg,y'], "Line 3 of .* gives the image 'a.jpg' the label 'y', and line 1 'x'"),
    (['a.jpg,x', 'a.jpg,x'], "Line 2 of .* names the image 'a.jpg' again, after line 1"),
])
def test_bad_lines_are_explained(lines, words, write_csv):
    with pytest.raises(ValueError, match=words):
        listing.read(write_csv(*lines), 'train')


def test_what_a_csv_file_cannot_do_is_explained(write_csv):
    path = write_csv('a.jpg,x')
    with pytest.raises(ValueError, match='names the images of one split; got a held_out_fraction of 0.2'):
        listing.read(path, 'train', 0.2)
    with pytest.raises(ValueError, match="known ones: x. Convert the split that has all classes first"):
        listing.read(path, 'train', class_names=('y',))


def test_missing_source_is_named():
    with pytest.raises(ValueError, match="a folder or a CSV file; there is no '/no/such'"):
        listing.read('/no/such', 'train')
