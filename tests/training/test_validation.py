"""The best checkpoint of a run, wherever the run is killed while it is copied."""

import json
import os
import types

import pytest

from nets.training import files, validation

SCORES = {10: 0.5, 20: 0.75}


class Killed(BaseException):
    """What no code catches."""


def _run(folder):
    """What a run that is started again does, for both steps."""
    config = types.SimpleNamespace(train_dir=str(folder), scores={'top_1': 'top-1'}, eval_every=10,
                                   max_number_of_steps=None, eval_split_name='test')
    for step, score in SCORES.items():
        for ending in ('index', 'data-00000-of-00001'):
            (folder / f'model.ckpt-{step}.{ending}').write_text(f'{ending} of {step}')
        if validation.is_missing(config, step):
            validation.validate(config, lambda config, path, score=score: {'top_1': score, 'loss': 1.0},
                                str(folder / f'model.ckpt-{step}'), step)


def _kill_at(monkeypatch, number):
    """Ends the process, as it were, before the operation on files of that number."""
    left = [number]

    def dying(function):
        def call(*args, **kwargs):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return function(*args, **kwargs)

        return call

    for module, name in ((os, 'replace'), (os, 'remove'), (files, 'append_json_line')):
        monkeypatch.setattr(module, name, dying(getattr(module, name)))


@pytest.mark.parametrize('number', range(11))
def test_the_best_checkpoint_is_kept_wherever_a_run_is_killed(tmp_path, monkeypatch, number):
    with monkeypatch.context() as patch:
        _kill_at(patch, number)
        with pytest.raises(Killed):
            _run(tmp_path)
    _run(tmp_path)
    assert validation.read_best(str(tmp_path)) == {'step': 20, 'top_1': 0.75, 'loss': 1.0}
    assert sorted(os.listdir(tmp_path / 'best')) == [
        'best.json', 'model.ckpt-20.data-00000-of-00001', 'model.ckpt-20.index']
    with open(tmp_path / 'eval.jsonl', encoding='utf-8') as file:
        assert [json.loads(line)['step'] for line in file] == [10, 20]
