"""Command lines, without TensorFlow: slim's flags are there, arrive, and are never ignored."""

import dataclasses
import os
import subprocess
import sys

import pytest

from nets.cli import common, evaluate, flag_table, train
from nets.training import config, recipes

# The flags of slim's scripts.
SLIM_TRAIN = ['master', 'train_dir', 'num_clones', 'clone_on_cpu', 'worker_replicas', 'num_ps_tasks',
              'num_readers', 'num_preprocessing_threads', 'log_every_n_steps', 'save_summaries_secs',
              'save_interval_secs', 'task', 'weight_decay', 'optimizer', 'adadelta_rho',
              'adagrad_initial_accumulator_value', 'adam_beta1', 'adam_beta2', 'opt_epsilon',
              'ftrl_learning_rate_power', 'ftrl_initial_accumulator_value', 'ftrl_l1', 'ftrl_l2', 'momentum',
              'rmsprop_momentum', 'rmsprop_decay', 'quantize_delay', 'learning_rate_decay_type',
              'learning_rate', 'end_learning_rate', 'label_smoothing', 'learning_rate_decay_factor',
              'num_epochs_per_decay', 'sync_replicas', 'replicas_to_aggregate', 'moving_average_decay',
              'dataset_name', 'dataset_split_name', 'dataset_dir', 'labels_offset', 'model_name',
              'preprocessing_name', 'batch_size', 'train_image_size', 'max_number_of_steps', 'use_grayscale',
              'checkpoint_path', 'checkpoint_exclude_scopes', 'trainable_scopes', 'ignore_missing_vars']
SLIM_EVAL = ['batch_size', 'max_num_batches', 'master', 'checkpoint_path', 'eval_dir',
             'num_preprocessing_threads', 'dataset_name', 'dataset_split_name', 'dataset_dir',
             'labels_offset', 'model_name', 'preprocessing_name', 'moving_average_decay', 'eval_image_size',
             'quantize', 'use_grayscale']
COMMANDS = {
    'train': (config.TrainConfig(), train.FLAGS, flag_table.TRAIN_UNSUPPORTED, SLIM_TRAIN),
    'evaluate': (config.EvalConfig(), evaluate.FLAGS, flag_table.EVAL_UNSUPPORTED, SLIM_EVAL),
}
# Samples of flags that do not take just any text or number.
CHOICES = {'mixed_precision': ('bfloat16', 'bfloat16'), 'nan_policy': ('skip', 'skip'),
           'profile_steps': ('10,20', (10, 20)), 'recipe': ('slim', 'slim'), 'recompute': ('unit', 'unit')}
# Other arguments that a flag cannot go without.
NEEDED = {'learning_rate_values': ['--learning_rate_boundaries=1,2']}


def _run(command, *arguments):
    """Exit code and configuration of a command line."""
    defaults, table, unsupported, _ = COMMANDS[command]
    seen = []

    def action(configuration):
        seen.append(configuration)
        return 0

    code = common.run(['program', *arguments], defaults, table, unsupported, 'Usage.', action)
    return code, seen[0] if seen else None


@pytest.mark.parametrize('command', COMMANDS)
def test_every_flag_of_slim_is_there_once(command):
    _, table, unsupported, slim = COMMANDS[command]
    names = [flag.name for flag in table + unsupported]
    assert len(set(names)) == len(names)
    assert set(slim) - set(names) == set()


@pytest.mark.parametrize('command', COMMANDS)
def test_no_flags_give_the_defaults(command):
    assert _run(command) == (0, COMMANDS[command][0])


@pytest.mark.parametrize('command', COMMANDS)
def test_every_flag_reaches_the_field_that_it_names(command):
    samples = {'string': ('abc', 'abc'), 'integer': ('8', 8), 'float': ('0.375', 0.375), 'floats': ('1,2.5', (1, 2.5)),
               'bool': ('true', True),
               'list': ('a/b, c', ('a/b', 'c'))}
    defaults, table, _, _ = COMMANDS[command]
    for flag in table:
        text, value = CHOICES.get(flag.name) or samples[flag.kind]
        code, configuration = _run(command, f'--{flag.name}={text}', *NEEDED.get(flag.name, []))
        assert code == 0
        reached, default = (common._get(one, flag.target) for one in (configuration, defaults))
        assert reached == value != default, flag.name


@pytest.mark.parametrize('command', COMMANDS)
def test_what_cannot_act_is_refused_with_a_reason(command, capsys):
    samples = {'string': 'grpc://host', 'integer': '7', 'bool': 'true'}
    for flag in COMMANDS[command][2]:
        assert _run(command, f'--{flag.name}={samples[flag.kind]}') == (2, None)
        assert f'--{flag.name}=' in (error := capsys.readouterr().err)
        assert f'is not supported: {flag.reason}' in error
        assert _run(command, f'--{flag.name}={flag.default}')[0] == 0


@pytest.mark.parametrize(('argument', 'message'), [
    ('--learning_rat=1', "Unknown command line flag 'learning_rat'. Did you mean: learning_rate"),
    ('--batch_size=many', 'many'),
    ('--learning_rate_boundaries=30,sixty', "flag --learning_rate_boundaries=30,sixty: could not convert"),
    ('stray', 'unexpected arguments: stray. Flags are written --name=value.'),
])
def test_wrong_command_line_is_code_2_and_says_what(argument, message, capsys):
    assert _run('train', argument) == (2, None)
    error = capsys.readouterr().err
    assert message in error
    assert 'Try program --help.' in error


def test_value_out_of_range_is_code_1_and_one_line(capsys):
    assert _run('train', '--batch_size=0') == (1, None)
    assert capsys.readouterr().err == 'program: error: batch_size must be at least 1; got 0.\n'


def _trained(monkeypatch, *arguments):
    """Exit code and configuration of `train_image_classifier.py`."""
    seen = []
    monkeypatch.setattr(train, '_run', lambda configuration, command: seen.append(configuration) or 0)
    return train.main(['program', *arguments]), seen[0] if seen else None


def test_recipe_sets_what_is_not_given_and_says_so(monkeypatch, capsys):
    code, configuration = _trained(
        monkeypatch, '--recipe=resnet50_90', '--batch_size=64', '--momentum=0.8', '--max_number_of_steps=10',
        '--learning_rate_decay_type=cosine', '--nozero_last_gamma')
    assert code == 0
    assert configuration.recipe == 'resnet50_90'
    assert (configuration.optimizer.optimizer, configuration.optimizer.momentum) == ('nesterov', 0.8)
    assert configuration.schedule.learning_rate == 0.025
    assert configuration.schedule.learning_rate_decay_type == 'cosine'
    assert (configuration.max_number_of_steps, configuration.max_number_of_epochs) == (10, None)
    assert not configuration.zero_last_gamma
    assert (configuration.data.batch_size, configuration.weight_decay) == (64, 0.0001)
    said = capsys.readouterr().err
    assert said.startswith('The recipe resnet50_90 is --')
    for text in ('--optimizer=nesterov', '--learning_rate=0.025', '--learning_rate_boundaries=30.0,60.0,80.0'):
        assert text in said.split()
    assert '--momentum' not in said


def test_what_the_recipe_says_gives_the_same_configuration(monkeypatch, capsys):
    for name in recipes.RECIPES:
        _, expected = _trained(monkeypatch, f'--recipe={name}')
        said = capsys.readouterr().err.split()[4:]
        _, configuration = _trained(monkeypatch, *said)
        assert dataclasses.replace(configuration, recipe=name) == expected


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--recipe=pizza'], "recipe must be one of slim, resnet50_90, finetune; got 'pizza'."),
    (['--recipe=finetune', '--batch_size=0'], 'batch_size must be at least 1; got 0.'),
    (['--learning_rate_decay_type=cosine'], 'learning_rate_decay_type=cosine needs an end'),
    (['--learning_rate_decay_type=piecewise'], 'needs learning_rate_boundaries, such as 30,60,80.'),
    (['--max_number_of_epochs=1', '--max_number_of_steps=1'], 'not both; got 1 and 1.0.'),
    (['--gradient_accumulation=3'], 'batch_size must be a multiple of 3'),
    (['--mixed_precision=float8'], "mixed_precision must be one of None, float16, bfloat16; got 'float8'."),
])
def test_settings_that_cannot_work_are_code_1(arguments, message, monkeypatch, capsys):
    assert _trained(monkeypatch, *arguments) == (1, None)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(('before', 'after'), [
    ('', '--tf_xla_cpu_global_jit'), ('--x=1', '--x=1 --tf_xla_cpu_global_jit')])
def test_xla_is_switched_on_before_tensorflow_is_imported(before, after, monkeypatch):
    class Imported(Exception):
        pass

    def load_tensorflow():
        raise Imported(os.environ['TF_XLA_FLAGS'])

    monkeypatch.setenv('TF_XLA_FLAGS', before)
    monkeypatch.setattr(common, 'load_tensorflow', load_tensorflow)
    for arguments, expected in (([], before), (['--xla'], after)):
        with pytest.raises(Imported, match=f'^{expected}$'):
            train.main(['program', *arguments])


def test_flagfile(tmp_path):
    (tmp_path / 'flags').write_text('--batch_size=5\n--optimizer=sgd\n')
    _, configuration = _run('train', f'--flagfile={tmp_path / "flags"}', '--batch_size=6')
    assert (configuration.data.batch_size, configuration.optimizer.optimizer) == (6, 'sgd')


@pytest.mark.parametrize('raised', [ValueError('a\nb'), OSError('disk'), FloatingPointError('nan')])
def test_errors_for_users_are_said_without_traceback_unless_asked_for(raised, capsys):
    def action(configuration):
        raise raised

    defaults, table, unsupported, _ = COMMANDS['train']
    assert common.run(['program'], defaults, table, unsupported, '', action) == 1
    assert capsys.readouterr().err == f'program: error: {raised}\n'
    assert common.run(['program', '--traceback'], defaults, table, unsupported, '', action) == 1
    assert 'Traceback' in capsys.readouterr().err


def test_errors_in_the_program_are_not_hidden():
    def action(configuration):
        raise KeyError('bug')

    defaults, table, unsupported, _ = COMMANDS['train']
    with pytest.raises(KeyError):
        common.run(['program'], defaults, table, unsupported, '', action)


@pytest.mark.parametrize('module', ['train', 'evaluate'])
def test_help_lists_the_flags_and_does_not_import_tensorflow(module):
    code = (f'import sys; from nets.cli import {module}; code = {module}.main(["x", "--help"]); '
            'assert "tensorflow" not in sys.modules; sys.exit(code)')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    for flag in COMMANDS[module][1]:
        assert f'{flag.name}:' in done.stdout


@pytest.mark.parametrize('fail', [False, True])
def test_noise_of_an_import_is_held_back_unless_it_fails(fail, capfd):
    import os
    try:
        with common._quiet():
            os.write(2, b'noise\n')
            if fail:
                raise ImportError
    except ImportError:
        pass
    assert capfd.readouterr().err == ('noise\n' if fail else '')
