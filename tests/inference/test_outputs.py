"""Every kind of file gives back the names and numbers that went in, and the same bytes for the same rows."""

import sys

import h5py
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from nets.inference import outputs, resume

END_POINTS = {'net/block1': (2, 2, 3), 'net/block1/unit_1': (5,)}
NAMES = [f'photos/ü {number:02d}.jpg' for number in range(11)] + ['x' * 300 + '.png', 'a\nb.png', 'broken\udcff.png']


def features(end_point, dtype):
    rng = np.random.RandomState(len(end_point))
    return rng.normal(0, 100, (len(NAMES),) + END_POINTS[end_point]).astype(dtype)


def write(path, dtype, end_points=END_POINTS):
    writer = outputs.writer(str(path), end_points)
    shapes = {name: END_POINTS[name] for name in end_points}
    with resume.Partial(path, {}, shapes, dtype, overwrite=True) as partial:
        for first in range(0, len(NAMES), 4):
            names = NAMES[first:first + 4]
            partial.append(names, [], {name: features(name, dtype)[first:first + 4] for name in end_points})
        partial.finish(writer)


def read_npz(path, dtype):
    with np.load(path) as held:
        return held['names'].tolist(), {name: held[name] for name in END_POINTS}


def read_hdf5(path, dtype):
    with h5py.File(path, 'r') as file:
        names = [name.decode('utf-8', 'surrogateescape') for name in file['names'][()]]
        held = {name: file[name.replace('/', '.')] for name in END_POINTS}
        assert [dataset.attrs['end_point'] for dataset in held.values()] == list(END_POINTS)
        return names, {name: dataset[()] for name, dataset in held.items()}


def read_tfrecord(path, dtype):
    names, arrays = [], {name: [] for name in END_POINTS}
    for record in tf.python_io.tf_record_iterator(str(path)):
        feature = tf.train.Example.FromString(record).features.feature
        names.append(feature['image/filename'].bytes_list.value[0].decode('utf-8', 'surrogateescape'))
        for name in END_POINTS:
            values = (np.array(feature[name].float_list.value, np.float32) if dtype == 'float32'
                      else np.frombuffer(feature[name].bytes_list.value[0], '<f2'))
            arrays[name].append(values.reshape(feature[name + '/shape'].int64_list.value))
    return names, {name: np.stack(rows) for name, rows in arrays.items()}


def read_parquet(path, dtype):
    parquet = pytest.importorskip('pyarrow.parquet')
    table = parquet.read_table(path)
    arrays = {}
    for name, shape in END_POINTS.items():
        column = table.column(name).combine_chunks()
        assert table.schema.field(name).metadata[b'shape'] == str(list(shape)).encode()
        arrays[name] = column.flatten().to_numpy().reshape((-1,) + shape)
    return table.column('name').to_pylist(), arrays


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
@pytest.mark.parametrize(('suffix', 'read'), [
    ('npz', read_npz), ('h5', read_hdf5), ('hdf5', read_hdf5), ('tfrecord', read_tfrecord), ('parquet', read_parquet)])
def test_rows_come_back_exactly_with_their_names(tmp_path, suffix, read, dtype, monkeypatch):
    monkeypatch.setattr(resume, '_BLOCK_BYTES', 200)
    if suffix == 'parquet':
        pytest.importorskip('pyarrow')
    path = tmp_path / f'out.{suffix}'
    write(path, dtype)
    names, arrays = read(path, dtype)
    expected = [name.encode('utf-8', 'backslashreplace').decode() for name in NAMES] if suffix == 'parquet' else NAMES
    assert list(names) == expected
    for name in END_POINTS:
        assert arrays[name].dtype == dtype
        np.testing.assert_array_equal(arrays[name], features(name, dtype))
    content = path.read_bytes()
    write(path, dtype)
    assert path.read_bytes() == content


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_npy_holds_one_end_point_and_its_names_are_beside_it(tmp_path, dtype):
    path = tmp_path / 'out.npy'
    write(path, dtype, ['net/block1'])
    held = np.load(path, mmap_mode='r')
    assert held.dtype == dtype
    np.testing.assert_array_equal(held, features('net/block1', dtype))
    lines = (tmp_path / 'out.npy.names.txt').read_text('utf-8', 'surrogateescape').splitlines()
    assert lines == [name.replace('\n', '\\n') for name in NAMES]


@pytest.mark.parametrize(('path', 'end_points', 'message'), [
    ('out.csv', ['a'], 'must end in one of .npy, .*parquet; got .out.csv'), ('out', ['a'], 'must end in one of'),
    ('out.npy', ['a', 'b'], 'one end point; got 2: a, b. Use .npz'), ('out.npz', ['names'], 'file names'),
    ('out.h5', ['a/b', 'a.b'], 'apart'), ('out.h5', ['names'], 'apart'), ('out.parquet', ['name'], 'file names'),
    ('out.tfrecord', ['image/filename'], 'file names')])
def test_what_a_kind_of_file_cannot_hold_is_refused_before_the_work(path, end_points, message):
    with pytest.raises(ValueError, match=message):
        outputs.writer(path, end_points)


@pytest.mark.parametrize(('suffix', 'package', 'advice'), [
    ('parquet', 'pyarrow', r"pip install 'tf1-nets\[parquet\]'"), ('h5', 'h5py', 'pip install h5py')])
def test_missing_package_is_named(monkeypatch, suffix, package, advice):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=advice):
        outputs.writer(f'out.{suffix}', ['a'])
