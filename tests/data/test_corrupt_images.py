import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.data import datasets, preprocessing, records


def corrupt_files(photo, encode):
    """What folders of images hold in real life that is no image, by kind."""
    jpeg, png = encode(photo(40, 40), 'JPEG'), encode(photo(40, 40))
    return {'truncated JPEG': jpeg[:len(jpeg) // 2], 'JPEG without its last bytes': jpeg[:-20],
            'JPEG header only': jpeg[:30], 'truncated PNG': png[:len(png) // 2],
            'empty': b'', 'web page': b'<html><body>404 not found</body></html>',
            'TIFF': encode(photo(40, 40), 'TIFF'), 'noise': bytes(range(256)) * 4}


@pytest.mark.parametrize('is_training', [True, False])
def test_corrupt_image_is_named(is_training, folder_of, collect, photo, encode, make_batches):
    dataset, (bad,) = folder_of(6, {3: corrupt_files(photo, encode)['truncated JPEG']})
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        collect(make_batches(dataset, is_training, seed=0), 4)
    assert f"Cannot decode the image '{bad}': it is damaged or truncated JPEG data" in caught.value.message
    assert 'skip_corrupt' in caught.value.message


def test_name_in_an_error_is_readable_in_any_language(write_folder, collect, make_batches):
    folder = write_folder({'test/a/Gänseblümchen 雛菊.jpg': b''})
    dataset = datasets.get_dataset('image_folder', 'test', folder)
    with pytest.raises(tf.errors.InvalidArgumentError, match="/Gänseblümchen 雛菊.jpg': it is empty"):
        collect(make_batches(dataset, False))


@pytest.mark.parametrize('count', [10, 12, 13])
def test_skipped_images_are_left_out_of_evaluation_and_named_once(count, folder_of, collect, photo, encode,
                                                                  make_batches, flat_names):
    corrupt = dict(zip([0, 2, 3, 4, 5, 6, 7, count - 1], corrupt_files(photo, encode).values(), strict=True))
    dataset, bad = folder_of(count, corrupt)
    skipped = []
    values = collect(make_batches(dataset, False, skip_corrupt=skipped))
    every = [example['name'].decode() for example in collect(dataset.examples())]
    assert flat_names(values) == [name for name in every if name not in bad]
    assert len(values) == -(-(count - 8) // 4)
    assert sorted(skipped) == bad


def test_skipped_images_are_left_out_of_training_and_named_once(folder_of, collect, photo, encode,
                                                                make_batches, flat_names):
    dataset, bad = folder_of(6, {1: corrupt_files(photo, encode)['truncated PNG'], 4: b''})
    skipped = []
    names = flat_names(collect(make_batches(dataset, True, seed=2, skip_corrupt=skipped), 10))
    assert len(names) == 40
    assert len(set(names)) == 4
    assert not set(names) & set(bad)
    assert sorted(skipped) == bad


@pytest.mark.parametrize('is_training', [True, False])
def test_only_corrupt_images_are_an_error_even_when_skipped(is_training, folder_of, collect, make_batches):
    dataset, _ = folder_of(3, dict.fromkeys(range(3), b'no image'))
    with pytest.raises(tf.errors.InvalidArgumentError, match="All 3 images of the split 'test' .* corrupt"):
        collect(make_batches(dataset, is_training, skip_corrupt=[]), 1)


def test_images_of_all_kinds_in_one_folder(write_folder, collect, photo, encode, make_batches):
    pixels = photo(16, 16)
    grey = np.repeat(pixels[..., :1], 3, axis=-1)
    grey16 = grey[..., 0].astype(np.uint16) * 257
    folder = write_folder({
        'test/a/0_rgb.png': encode(pixels),
        'test/a/1_alpha.png': encode(np.dstack([pixels, pixels[..., 0]])),
        'test/a/2_grey.png': encode(grey[..., 0]), 'test/a/3_16_bit.png': encode(grey16),
        'test/a/4_gif.jpg': encode(pixels, 'GIF'), 'test/a/5_png.jpg': encode(pixels)})
    dataset = datasets.get_dataset('image_folder', 'test', folder)
    values, = collect(make_batches(dataset, False, 6))
    fn = preprocessing.get_preprocessing('cifar', False)
    with tf.Session() as session:
        colour, grey = session.run([fn(tf.constant(image), 8, 8) for image in (pixels, grey)])
    for index, expected in enumerate([colour, colour, grey, grey, None, colour]):
        if expected is not None:
            np.testing.assert_array_equal(values['image'][index], expected)
    # A GIF has no more than 256 colours.
    assert np.abs(values['image'][4] - colour).mean() < 0.1


def test_corrupt_record_is_named_by_its_place(tmp_path, collect, photo, encode, make_batches, flat_names):
    files = [encode(photo(12, 12)), b'', encode(photo(12, 12))]
    examples = [records.make_example(file, 'png', 12, 12, 0) for file in files]
    path, = records.write_records(examples, 3, tmp_path, 'pets', 'train')
    records.write_labels(tmp_path, ['cat'])
    dataset = datasets.get_dataset('tfrecords', 'train', os.fspath(tmp_path))
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"'{path}#1': it is empty"):
        collect(make_batches(dataset, False))
    skipped = []
    values = collect(make_batches(dataset, False, skip_corrupt=skipped))
    assert flat_names(values) == [f'{path}#0', f'{path}#2']
    assert skipped == [f'{path}#1']


def test_file_that_vanished_is_named_and_not_skipped(folder_of, collect, make_batches):
    dataset, _ = folder_of(4)
    path = collect(dataset.examples())[2]['name'].decode()
    os.remove(path)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f'Cannot read the example .*{path}.*No such file'):
        collect(make_batches(dataset, False, skip_corrupt=[]))


@pytest.mark.parametrize('is_training', [True, False])
def test_damaged_record_is_named_by_file_byte_and_number(is_training, tmp_path, collect, photo, encode, make_batches,
                                                         flat_names):
    examples = [records.make_example(encode(photo(12, 12)), 'png', 12, 12, 0) for _ in range(4)]
    path, = records.write_records(examples, 4, tmp_path, 'pets', 'train')
    records.write_labels(tmp_path, ['cat'])
    offset = records.record_offsets(path)[2]
    with open(path, 'r+b') as file:
        file.seek(offset + 100)
        byte = file.read(1)
        file.seek(offset + 100)
        file.write(bytes([byte[0] ^ 1]))
    dataset = datasets.get_dataset('tfrecords', 'train', os.fspath(tmp_path))
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"'{path}#2' .at byte {offset}.: corrupted record"):
        collect(make_batches(dataset, is_training), 1)
    skipped = []
    names = flat_names(collect(make_batches(dataset, is_training, skip_corrupt=skipped), 3))
    assert {f'{path}#{index}' for index in (0, 1, 3)} == set(names)
    assert skipped == [f'{path}#2']


def test_many_corrupt_images_one_after_another_are_an_error(folder_of, collect, make_batches):
    dataset, _ = folder_of(2000, dict.fromkeys(range(1999), b''), num_classes=1)
    with pytest.raises(tf.errors.InvalidArgumentError, match='100 images one after another .* are corrupt'):
        collect(make_batches(dataset, True, 1, skip_corrupt=[]), 1)
