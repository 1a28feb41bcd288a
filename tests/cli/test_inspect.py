"""`nets inspect`: what it prints, and its exit codes."""

import io
import json
import os
import sys

import golden
import numpy as np
import pytest

from nets.cli import main

CHECKPOINT = os.path.join(golden.FOLDER, 'checkpoints', 'tiny_v2', 'model.ckpt-5')


def _run(capsys, *arguments):
    code = main.main(['inspect', *map(str, arguments)])
    output, error = capsys.readouterr()
    return code, output, error


def test_the_table_names_what_is_in_the_file(capsys):
    code, output, error = _run(capsys, CHECKPOINT)
    assert (code, error) == (0, '')
    for text in ('tensorflow V2, step 5', 'SHA-256', 'classes: 7', 'moving averages: yes', 'optimizer: Momentum',
                 'numbers: all sound', ' more (--all lists them)'):
        assert text in output
    assert 'tiny_v2/postnorm/gamma ' not in output
    code, output, _ = _run(capsys, CHECKPOINT, '--all')
    assert code == 0
    assert 'tiny_v2/postnorm/gamma ' in output


def test_json_is_one_line(capsys):
    code, output, _ = _run(capsys, CHECKPOINT, '--json')
    assert code == 0
    assert output.count('\n') == 1
    found = json.loads(output)
    assert {variable['name']: variable['shape'] for variable in found['variables']}['tiny_v2/logits/biases'] == [7]


def test_another_network_and_bad_numbers_are_exit_code_1(capsys, tmp_path):
    code, output, error = _run(capsys, CHECKPOINT, '--network', 'resnet_v2_50')
    assert (code, error) == (1, '')
    assert 'Missing in the checkpoint (' in output
    np.savez(str(tmp_path / 'a.npz'), **{'bn/moving_variance': np.float32([-1, 1])})
    code, output, _ = _run(capsys, tmp_path / 'a.npz')
    assert code == 1
    assert 'bn/moving_variance  1 of 2 variances are negative' in output


@pytest.mark.parametrize(('arguments', 'message'), [
    (['/nowhere/a.pth'], 'There is no checkpoint at /nowhere/a.pth'), ([__file__], 'test_inspect.py cannot be read'),
    ([CHECKPOINT, '--network', 'resnet'], "Unknown network 'resnet'"), ([CHECKPOINT, '--ema'], 'has no averages'),
    ([CHECKPOINT, '--num_classes', '-7'], 'must be 0, for none, or more; got -7')])
def test_what_cannot_be_is_one_line(arguments, message, capsys):
    code, output, error = _run(capsys, *arguments)
    assert (code, output) == (1, '')
    assert error.startswith('nets inspect: error: ')
    assert message in error
    assert error.count('\n') == 1


def test_names_of_files_that_are_no_utf_8_are_printed_as_they_are(tmp_path, monkeypatch):
    path = os.fsencode(tmp_path / 'a') + b'\xff.npz'
    with open(path, 'wb') as file:
        np.savez(file, **{'bn/moving_variance': np.float32([1])})
    printed = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(printed, 'utf-8', write_through=True))
    assert main.main(['inspect', os.fsdecode(path)]) == 0
    assert path + b': npz' in printed.getvalue()
