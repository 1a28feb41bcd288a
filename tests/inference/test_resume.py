"""Whatever a kill leaves of the files, the output is that of an undisturbed run."""

import json
import os
import shutil

import numpy as np
import pytest

from nets.inference import resume
from nets.inference.outputs import npz

SHAPES = {'one/a': (2, 1, 3), 'one': (4,)}
CALL = {'network': 'n', 'images': ['x', 12]}
NUM_BATCHES = 6


def batch(number):
    """A batch of up to three images: names, corrupt ones, rows."""
    rng = np.random.RandomState(number)
    corrupt = [(f'{number}/bad\udcff.png', 'it is empty')] if number % 2 else []
    names = [f'{number}/ü\udcff{row}.png' for row in range(0 if number == 3 else 3 - len(corrupt))]
    return names, corrupt, {name: rng.normal(size=(len(names),) + shape).astype(np.float32)
                            for name, shape in SHAPES.items()}


def images_of(number):
    names, corrupt, _ = batch(number)
    return len(names) + len(corrupt)


STARTS = np.cumsum([0] + [images_of(number) for number in range(NUM_BATCHES)]).tolist()


def fill(output, last=NUM_BATCHES, finish=True, **options):
    """Adds the batches that are missing; returns how many images were there."""
    with resume.Partial(output, CALL, SHAPES, 'float32', **options) as partial:
        for number in range(STARTS.index(partial.num_images), last):
            partial.append(*batch(number))
        if finish:
            partial.finish(npz.write)
        return partial.num_resumed


@pytest.fixture
def whole(tmp_path):
    """The bytes of an undisturbed output."""
    output = tmp_path / 'whole.npz'
    fill(output)
    return output.read_bytes()


def test_output_holds_all_rows_in_order_with_their_names(tmp_path, whole):
    (tmp_path / 'out.npz').write_bytes(whole)
    with np.load(tmp_path / 'out.npz') as held:
        assert held['names'].tolist() == [name for number in range(NUM_BATCHES) for name in batch(number)[0]]
        for end_point in SHAPES:
            expected = np.concatenate([batch(number)[2][end_point] for number in range(NUM_BATCHES)])
            np.testing.assert_array_equal(held[end_point], expected)


def test_nothing_else_is_left(tmp_path, whole):
    assert os.listdir(tmp_path) == ['whole.npz']


def test_journal_cut_anywhere_gives_the_same_output(tmp_path, whole):
    """The journal is written after the rows: a kill leaves any part of it, and the rows."""
    saved, output = tmp_path / 'saved', tmp_path / 'out.npz'
    fill(output, finish=False)
    shutil.copytree(resume.folder_of(output), saved)
    size = (saved / 'journal.jsonl').stat().st_size
    resumed = set()
    for length in range(0, size + 1, 11):
        shutil.rmtree(resume.folder_of(output), ignore_errors=True)
        shutil.copytree(saved, resume.folder_of(output))
        os.truncate(os.path.join(resume.folder_of(output), 'journal.jsonl'), length)
        resumed.add(fill(output, overwrite=True))
        assert output.read_bytes() == whole
    assert resumed == set(STARTS[:-1])


@pytest.mark.parametrize('file', ['0.rows', '1.rows'])
def test_rows_that_are_cut_or_changed_are_computed_again(tmp_path, whole, file):
    """After a power cut the journal may be there and its rows not, or zeros in their place."""
    saved, output = tmp_path / 'saved', tmp_path / 'out.npz'
    fill(output, finish=False)
    shutil.copytree(resume.folder_of(output), saved)
    size = (saved / file).stat().st_size
    path = os.path.join(resume.folder_of(output), file)
    for position in range(0, size, 37):
        for damage in ('cut', 'zeros'):
            shutil.rmtree(resume.folder_of(output), ignore_errors=True)
            shutil.copytree(saved, resume.folder_of(output))
            if damage == 'cut':
                os.truncate(path, position)
            else:
                with open(path, 'r+b') as handle:
                    handle.seek(position)
                    handle.write(bytes(min(37, size - position)))
            assert fill(output, overwrite=True) < STARTS[-1]
            assert output.read_bytes() == whole


def test_kill_between_the_rename_and_the_end_loses_nothing(tmp_path, whole, monkeypatch):
    output, replace = tmp_path / 'out.npz', os.replace

    def killed(source, target):
        if os.fspath(target).endswith('.done'):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, 'replace', killed)
    with pytest.raises(KeyboardInterrupt):
        fill(output)
    monkeypatch.undo()
    assert fill(output) == STARTS[-1]  # without overwrite: the rows are of this call
    assert output.read_bytes() == whole
    assert sorted(os.listdir(tmp_path)) == ['out.npz', 'whole.npz']


def test_existing_output_is_refused_and_stays(tmp_path, whole):
    output = tmp_path / 'whole.npz'
    with pytest.raises(ValueError, match='already a file .*--overwrite'):
        fill(output)
    assert output.read_bytes() == whole
    assert os.listdir(tmp_path) == ['whole.npz']
    output.write_bytes(b'old')
    fill(output, overwrite=True)
    assert output.read_bytes() == whole


def test_rows_of_another_call_are_refused_and_stay(tmp_path, whole):
    output = tmp_path / 'out.npz'
    fill(output, last=2, finish=False)
    with pytest.raises(ValueError, match='rows of another call, with other images, network'):
        resume.Partial(output, {'network': 'other', 'images': ['y', 12]}, SHAPES, 'float32')
    assert fill(output) == STARTS[2]
    assert output.read_bytes() == whole


def test_rows_of_another_call_are_dropped_if_told_so(tmp_path, whole):
    output = tmp_path / 'out.npz'
    with resume.Partial(output, {'network': 'other'}, {'x': (1000,)}, 'float16') as other:
        other.append(['a'], [], {'x': np.ones((1, 1000), np.float16)})
    assert fill(output, overwrite=True) == 0
    assert output.read_bytes() == whole


def test_second_process_is_refused_and_harms_nothing(tmp_path, whole):
    output = tmp_path / 'out.npz'
    with resume.Partial(output, CALL, SHAPES, 'float32') as first:
        with pytest.raises(ValueError, match='Another process is writing'):
            fill(output)
        for number in range(NUM_BATCHES):
            first.append(*batch(number))
        first.finish(npz.write)
    assert output.read_bytes() == whole


def test_run_without_rows_leaves_no_folder(tmp_path):
    with resume.Partial(tmp_path / 'out.npz', CALL, SHAPES, 'float32') as partial:
        partial.append([], [('bad', 'it is empty')], batch(3)[2])
    assert os.listdir(tmp_path) == []


def test_rows_of_another_shape_are_an_error(tmp_path):
    names, corrupt, rows = batch(0)
    with resume.Partial(tmp_path / 'out.npz', CALL, SHAPES, 'float32') as partial:
        with pytest.raises(ValueError, match=r"Rows at 'one' must be 3 of shape \[4\]"):
            partial.append(names, corrupt, dict(rows, one=rows['one'][:2]))
        assert partial.num_images == 0


@pytest.mark.parametrize(('output', 'message'), [
    ('nowhere/out.npz', 'there is no folder .*nowhere'), ('', 'is a folder'), ('file/out.npz', 'there is no folder')])
def test_output_that_cannot_be_is_named(tmp_path, output, message):
    (tmp_path / 'file').write_text('x')
    with pytest.raises(ValueError, match=message):
        resume.Partial(tmp_path / output, CALL, SHAPES, 'float32')
    with pytest.raises(ValueError, match='/proc/out.npz cannot be written to'):
        resume.Partial('/proc/out.npz', CALL, SHAPES, 'float32')


def test_blocks_hold_every_row_once_whatever_their_size(tmp_path, monkeypatch):
    monkeypatch.setattr(resume, '_BLOCK_BYTES', 5 * 4 * sum(int(np.prod(shape)) for shape in SHAPES.values()))
    sizes = []

    def write(path, rows):
        blocks = list(rows.blocks())
        sizes.extend(len(names) for names, _ in blocks)
        assert [name for names, _ in blocks for name in names] == list(rows.names())
        for end_point in SHAPES:
            np.testing.assert_array_equal(
                np.concatenate([arrays[end_point] for _, arrays in blocks]),
                np.concatenate([batch(number)[2][end_point] for number in range(NUM_BATCHES)]))
        open(path, 'w').close()

    with resume.Partial(tmp_path / 'out.npz', CALL, SHAPES, 'float32') as partial:
        for number in range(NUM_BATCHES):
            partial.append(*batch(number))
        partial.finish(write)
    assert set(sizes[:-1]) == {5}
    assert 0 < sizes[-1] <= 5


def test_journal_is_lines_of_json(tmp_path):
    fill(tmp_path / 'out.npz', last=2, finish=False)
    with open(os.path.join(resume.folder_of(tmp_path / 'out.npz'), 'journal.jsonl'), encoding='utf-8') as file:
        assert [len(json.loads(line)['crc32']) for line in file] == [2, 2]
