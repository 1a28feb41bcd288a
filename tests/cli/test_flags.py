"""Command lines, without TensorFlow: slim's flags are there, arrive, and are never ignored."""

import subprocess
import sys

import pytest

from nets.cli import common, evaluate, flag_table, train
from nets.training import config

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
    samples = {'string': ('abc', 'abc'), 'integer': ('3', 3), 'float': ('0.375', 0.375),
               'bool': ('true', True),
               'list': ('a/b, c', ('a/b', 'c'))}
    defaults, table, _, _ = COMMANDS[command]
    for flag in table:
        text, value = samples[flag.kind]
        code, configuration = _run(command, f'--{flag.name}={text}')
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
