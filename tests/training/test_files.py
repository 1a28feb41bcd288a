"""Files: whole or not at all, and logs that a kill has cut off can be read and go on."""

import os

import pytest

from nets.training import files


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = str(tmp_path / 'a.json')
    files.write_whole(path, 'old')

    def fail(*unused):
        raise OSError('disk full')

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(OSError, match='disk full'):
        files.write_whole(path, 'new')
    assert (tmp_path / 'a.json').read_text() == 'old'
    assert os.listdir(str(tmp_path)) == ['a.json']


def test_text_that_is_not_unicode_is_written_all_the_same(tmp_path):
    files.write_whole(str(tmp_path / 'a'), b'caf\xe9'.decode('utf-8', 'surrogateescape'))
    assert (tmp_path / 'a').read_bytes() == b'caf?'


def test_torn_line_is_left_out_and_rewinding_drops_later_steps(tmp_path):
    path = str(tmp_path / 'metrics.jsonl')
    for step in (10, 20, 30):
        files.append_json_line(path, {'step': step})
    with open(path, 'a', encoding='utf-8') as file:
        file.write('{"step": 4')
    assert files.read_json_lines(path) == [{'step': 10}, {'step': 20}, {'step': 30}]
    files.rewind_json_lines(path, 20)
    files.append_json_line(path, {'step': 25})
    assert files.read_json_lines(path) == [{'step': 10}, {'step': 20}, {'step': 25}]


def test_reading_and_rewinding_nothing(tmp_path):
    path = str(tmp_path / 'none')
    files.rewind_json_lines(path, 5)
    assert files.read_json_lines(path) == []
    assert not os.path.exists(path)


def test_writable_dir_makes_directories_and_leaves_no_file(tmp_path):
    path = files.writable_dir(str(tmp_path / 'a' / 'b'), 'train_dir')
    assert os.listdir(path) == []


@pytest.mark.parametrize(('parts', 'reason'), [
    (['file'], 'there is a file of that name'), (['file', 'below'], 'Not a directory')])
def test_directory_that_cannot_be_names_flag_path_and_reason(tmp_path, parts, reason):
    (tmp_path / 'file').write_text('')
    path = str(tmp_path.joinpath(*parts))
    with pytest.raises(ValueError, match=f'--train_dir={path} cannot be written to: {reason}'):
        files.writable_dir(path, 'train_dir')


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_directory_without_permission(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(ValueError, match='Permission denied'):
        files.writable_dir(str(tmp_path), 'train_dir')


def test_empty_name():
    with pytest.raises(ValueError, match='--eval_dir must name a directory'):
        files.writable_dir('', 'eval_dir')
