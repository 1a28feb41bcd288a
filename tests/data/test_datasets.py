import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.data import datasets, records, sources


@pytest.fixture
def write_records(tmp_path, photo, encode):
    """A function that writes shards of slim's schema and `labels.txt`; it returns the folder."""
    def write(count, name='pets', split_name='train', num_shards=1, class_names=('cat', 'dog'),
              with_filename=False):
        examples = [records.make_example(encode(photo(12, 10, index)), 'png', 12, 10,
                                         index % len(class_names),
                                         f'{split_name}{index}.png' if with_filename else None)
                    for index in range(count)]
        records.write_records(examples, count, tmp_path, name, split_name, num_shards)
        records.write_labels(tmp_path, class_names)
        return os.fspath(tmp_path)

    return write


def names_of(examples):
    return [example['name'].decode() for example in examples]


def test_digits_are_the_same_for_both_names_of_the_held_out_part(collect):
    parts = [datasets.get_dataset('digits', split_name) for split_name in ('train', 'test', 'validation')]
    train, test, validation = ({key: values.tolist() for key, values in collect(part.examples().batch(
        2000))[0].items()} for part in parts)
    assert test == validation
    assert [part.num_examples for part in parts] == [1437, 360, 360]
    assert [len(train['name']), len(test['name'])] == [1437, 360]
    assert not set(train['name']) & set(test['name'])
    assert {part.class_names for part in parts} == {tuple('0123456789')}
    assert {part.num_classes for part in parts} == {10}


def test_image_folder_gives_the_files(write_folder, collect):
    folder = write_folder({f'{name}/{index}.jpg': None for name in 'ab' for index in range(5)})
    dataset = datasets.get_dataset('image_folder', 'train', folder)
    examples = collect(dataset.examples())
    assert len(examples) == dataset.num_examples
    assert names_of(examples) == sorted(names_of(examples))
    assert (dataset.num_classes, dataset.class_names) == (2, ('a', 'b'))
    for example in examples:
        path = example['name'].decode()
        with open(path, 'rb') as file:
            assert example['encoded'] == file.read()
        assert dataset.class_names[example['label']] == os.path.basename(os.path.dirname(path))


def test_image_folder_reads_names_that_are_not_utf_8(tmp_path, photo, encode, collect):
    path = os.fsencode(tmp_path) + b'/a/gr\xfcn.png'
    os.mkdir(os.path.dirname(path))
    with open(path, 'wb') as file:
        file.write(encode(photo(5, 5)))
    dataset = datasets.get_dataset('image_folder', 'train', os.fspath(tmp_path))
    assert [example['name'] for example in collect(dataset.examples())] == [path]


@pytest.mark.parametrize('num_shards', [1, 3])
def test_records_come_in_order_and_name_their_place(num_shards, write_records, collect):
    folder = write_records(7, num_shards=num_shards)
    dataset = datasets.get_dataset('tfrecords', 'train', folder)
    examples = collect(dataset.examples())
    assert (dataset.num_examples, dataset.num_classes, dataset.class_names) == (7, 2, ('cat', 'dog'))
    assert [example['label'] for example in examples] == [0, 1, 0, 1, 0, 1, 0]
    path, index = names_of(examples)[-1].split('#')
    assert path == os.path.join(folder, f'pets_train_0000{num_shards - 1}-of-0000{num_shards}.tfrecord')
    assert int(index) == (6 if num_shards == 1 else 0)
    assert len(set(names_of(examples))) == 7


def test_records_use_their_filename(write_records, collect):
    dataset = datasets.get_dataset('tfrecords', 'train', write_records(3, with_filename=True))
    assert names_of(collect(dataset.examples())) == ['train0.png', 'train1.png', 'train2.png']


@pytest.mark.parametrize('filename', ['pets_train_00000-of-00001.tfrecord', 'pets_train.tfrecord',
                                      'train-00000-of-00001', 'train.tfrecord'])
def test_records_are_found_by_usual_names(filename, write_records, collect):
    folder = write_records(2, with_filename=True)
    os.rename(os.path.join(folder, 'pets_train_00000-of-00001.tfrecord'), os.path.join(folder, filename))
    write_records(3, split_name='validation', with_filename=True)
    dataset = datasets.get_dataset('tfrecords', 'train', folder)
    assert names_of(collect(dataset.examples())) == ['train0.png', 'train1.png']


@pytest.mark.parametrize(('pattern', 'count'), [('birds_%s_*', 2), ('*train*', 5), ('%s/x.tfrecord', None)])
def test_file_pattern_chooses_files(pattern, count, write_records):
    write_records(3)
    folder = write_records(2, name='birds')
    if count is None:
        with pytest.raises(ValueError, match="no TFRecord files of the split 'train'; looked for train/"):
            datasets.get_dataset('tfrecords', 'train', folder, pattern)
    else:
        assert datasets.get_dataset('tfrecords', 'train', folder, pattern).num_examples == count


def test_folder_name_is_no_pattern(tmp_path, write_records):
    folder = write_records(3)
    odd = tmp_path.with_name('odd [1] %s')
    os.rename(folder, odd)
    assert datasets.get_dataset('tfrecords', 'train', os.fspath(odd)).num_examples == 3


def test_missing_shard_is_an_error_unless_a_pattern_is_given(write_records):
    folder = write_records(6, num_shards=3)
    os.remove(os.path.join(folder, 'pets_train_00001-of-00003.tfrecord'))
    with pytest.raises(ValueError, match=r'lacks shards \[1\] of 3'):
        datasets.get_dataset('tfrecords', 'train', folder)
    assert datasets.get_dataset('tfrecords', 'train', folder, 'pets_%s_*').num_examples == 4


SLIM = [('flowers', 'train', 'flowers_train_00000-of-00001.tfrecord', 3320, 5),
        ('flowers', 'validation', 'flowers_validation_00000-of-00001.tfrecord', 350, 5),
        ('cifar10', 'train', 'cifar10_train.tfrecord', 50000, 10),
        ('cifar10', 'test', 'cifar10_test.tfrecord', 10000, 10),
        ('mnist', 'train', 'mnist_train.tfrecord', 60000, 10),
        ('mnist', 'test', 'mnist_test.tfrecord', 10000, 10),
        ('imagenet', 'train', 'train-00000-of-00001', 1281167, 1001),
        ('imagenet', 'validation', 'validation-00000-of-00001', 50000, 1001),
        ('visualwakewords', 'train', 'train.record-00000-of-00001', 82783, 2),
        ('visualwakewords', 'val', 'val.record-00000-of-00001', 40504, 2)]


@pytest.mark.parametrize(('name', 'split_name', 'filename', 'num_examples', 'num_classes'), SLIM)
def test_data_sets_of_slim(name, split_name, filename, num_examples, num_classes, write_records,
                           collect, caplog):
    folder = write_records(2)
    os.rename(os.path.join(folder, 'pets_train_00000-of-00001.tfrecord'), os.path.join(folder, filename))
    os.remove(os.path.join(folder, 'labels.txt'))
    dataset = datasets.get_dataset(name, split_name, folder)
    assert (dataset.num_examples, dataset.num_classes) == (2, num_classes)
    assert f'has 2 examples in {folder}; the published one has {num_examples}' in caplog.text
    assert dataset.class_names == tuple(map(str, range(num_classes)))
    assert [example['label'] for example in collect(dataset.examples())] == [0, 1]
    assert datasets.get_dataset(name, split_name, folder, filename).num_examples == 2


def test_data_set_of_slim_takes_its_names_from_labels(write_records):
    class_names = ('daisy', 'dandelion', 'roses', 'sunflowers', 'tulips')
    folder = write_records(2, name='flowers', class_names=class_names)
    assert datasets.get_dataset('flowers', 'train', folder).class_names == class_names
    records.write_labels(folder, class_names[:3])
    with pytest.raises(ValueError, match="'flowers' has 5 classes; labels.txt in .* names 3. "):
        datasets.get_dataset('flowers', 'train', folder)


@pytest.mark.parametrize(('name', 'split_name', 'known'), [
    ('digits', 'eval', 'train, test, validation'), ('image_folder', 'eval', 'train, validation, test'),
    ('flowers', 'test', 'train, validation'), ('cifar10', 'validation', 'train, test')])
def test_unknown_split_lists_the_known(name, split_name, known, tmp_path):
    with pytest.raises(ValueError, match=f"one of {known} .*'?\"?{name}'?\"?; got '{split_name}'"):
        datasets.get_dataset(name, split_name, os.fspath(tmp_path))


def test_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match="one of digits, image_folder, tfrecords, flowers, .*synthetic; got 'flower'"):
        datasets.get_dataset('flower', 'train')


@pytest.mark.parametrize('dataset_dir', [None, '/no/such/folder'])
@pytest.mark.parametrize('name', ['tfrecords', 'flowers', 'image_folder'])
def test_missing_folder_is_named(name, dataset_dir):
    with pytest.raises(ValueError, match=f'dataset_dir must be .*got {dataset_dir!r}, which is no folder'):
        datasets.get_dataset(name, 'train', dataset_dir)


def test_records_need_labels(write_records):
    folder = write_records(2)
    os.remove(os.path.join(folder, 'labels.txt'))
    with pytest.raises(ValueError, match='needs a file labels.txt in .* with a line ID:NAME for each class'):
        datasets.get_dataset('tfrecords', 'train', folder)


def test_no_files_for_a_split(write_records):
    with pytest.raises(ValueError, match=r"no TFRecord files of the split 'test'; looked for \*_test_"):
        datasets.get_dataset('tfrecords', 'test', write_records(2))


@pytest.mark.parametrize('kind', ['digits', 'image_folder', 'tfrecords'])
@pytest.mark.parametrize('in_memory', [False, True])
def test_examples_are_found_by_their_numbers(kind, in_memory, write_folder, write_records, collect):
    folder = {'digits': lambda: None, 'tfrecords': lambda: write_records(20, num_shards=4),
              'image_folder': lambda: write_folder({f'a/{index}.jpg': None for index in range(20)})}[kind]()
    source = datasets.get_dataset(kind, 'train', folder).source
    ordered = collect(source.examples())
    assert len(ordered) == source.num_examples
    if in_memory:
        source = sources.in_memory(source)
    numbers = [15, 0, 7, 7, 12]
    rows = source.rows(tf.data.Dataset.from_tensor_slices(np.array(numbers, np.int64)))
    assert collect(rows.map(source.load)) == [ordered[number] for number in numbers]
    assert collect(source.examples(13)) == ordered[13:]
