"""What the commands that infer share: renamed scopes of checkpoints, the engine, and the choice of oneDNN."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(TESTS)
sys.path.insert(0, os.path.join(TESTS, 'inference'))
import tiny_inference as tiny  # noqa: E402

from nets import nets_factory  # noqa: E402
from nets.cli import common, main  # noqa: E402
from nets.data import preprocessing  # noqa: E402

SCOPE = 'old/scope'
RENAME = f'--rename={SCOPE}={tiny.NAME}'


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(nets_factory.NETWORKS, tiny.NAME, tiny.NETWORK)


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A checkpoint, one of the same values in another scope, and a folder of images."""
    folder = tmp_path_factory.mktemp('files')
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(nets_factory.NETWORKS, tiny.NAME, tiny.NETWORK)
        checkpoint = tiny.write_checkpoint(folder)
    reader = tf.train.NewCheckpointReader(checkpoint)
    with tf.Graph().as_default(), tf.Session() as session:
        held = {name.replace(tiny.NAME, SCOPE): tf.Variable(reader.get_tensor(name))
                for name in reader.get_variable_to_shape_map()}
        session.run(tf.global_variables_initializer())
        renamed = tf.train.Saver(held).save(session, str(folder / 'renamed.ckpt'), write_meta_graph=False)
    tiny.write_images(folder / 'images', 3)
    return checkpoint, renamed, folder / 'images'


def run(capfd, *arguments):
    """Exit code, result, and the error output of a command."""
    code = main.main([*map(str, arguments), '--json'])
    output, error = capfd.readouterr()
    assert 'Traceback' not in error
    return code, json.loads(output.splitlines()[-1]) if output else None, error


def command_of(name, checkpoint, images, folder):
    """A command line, without `--json`, and the file that it writes."""
    network = ['--network', tiny.NAME]
    output = {'extract': 'out.npy', 'export': 'out.pb', 'convert': 'out.ckpt', 'predict': None}[name]
    output = output and folder / output
    return {
        'extract': [name, *network, '--checkpoint', checkpoint, '--images', images, '--output', output],
        'predict': [name, *network, '--checkpoint', checkpoint, images / '00000.png', images / '00001.png'],
        'export': [name, *network, '--checkpoint', checkpoint, '--output', output],
        'convert': [name, checkpoint, output, *network]}[name], output


def written(name, output, result):
    """What a command computed or wrote."""
    if name == 'predict':
        return [one['predictions'] for one in result['images']]
    if name == 'convert':
        reader = tf.train.NewCheckpointReader(str(output))
        return [(key, reader.get_tensor(key).tobytes()) for key in sorted(reader.get_variable_to_shape_map())]
    return tf.GraphDef.FromString(output.read_bytes()) if name == 'export' else output.read_bytes()


@pytest.mark.parametrize('name', ['extract', 'predict', 'export', 'convert'])
def test_a_checkpoint_with_renamed_scopes_gives_the_same(name, files, tmp_path, capfd):
    checkpoint, renamed, images = files
    results = []
    for number, (prefix, more) in enumerate([(checkpoint, []), (renamed, [RENAME])]):
        (tmp_path / str(number)).mkdir()
        line, output = command_of(name, prefix, images, tmp_path / str(number))
        code, result, error = run(capfd, *line, *more)
        assert code == 0, error
        results.append(written(name, output, result))
    assert results[0] == results[1]


@pytest.mark.parametrize('name', ['extract', 'predict', 'export', 'convert'])
@pytest.mark.parametrize(('rename', 'message'), [
    ([], 'Change --network.'), (['--rename=old=other'], 'Change --rename.'),
    (['--rename=new=other'], "The rename 'new=other' matches nothing in the checkpoint"),
    ([RENAME, '--rename', 'x'], "got 'x'"), ([RENAME, RENAME], 'renamed once')])
def test_a_rename_that_does_not_help_is_told_with_the_flag(name, rename, message, files, tmp_path, capfd):
    line, _ = command_of(name, files[1], files[2], tmp_path)
    code, result, error = run(capfd, *line, *rename)
    assert (code, result) == (1, None)
    assert message in error
    assert not {'--model_name', '--checkpoint_exclude_scopes', '--ignore_missing_vars'} & set(error.split())
    assert os.listdir(tmp_path) == []


def test_renames_are_of_checkpoints_only(tmp_path, capfd):
    (tmp_path / 'a.safetensors').write_bytes(b'\x02\0\0\0\0\0\0\0{}')
    code, _, error = run(capfd, 'convert', tmp_path / 'a.safetensors', tmp_path / 'a.ckpt', '--rename=a=b',
                         '--network=resnet_v15_50')
    assert code == 1
    assert 'renames are about scopes of checkpoints' in error


def test_onnxruntime_gives_the_same(files, tmp_path, capfd):
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    checkpoint, _, images = files
    rows, predictions = [], []
    for engine in ('tensorflow', 'onnxruntime'):
        line, _ = command_of('predict', checkpoint, images, tmp_path)
        predictions.append(run(capfd, *line, '--engine', engine)[1]['images'])
        line, _ = command_of('extract', checkpoint, images, tmp_path)
        assert run(capfd, *line, '--engine', engine, '--overwrite')[0] == 0
        rows.append(np.load(tmp_path / 'out.npy'))
    assert np.abs(rows[1] - rows[0]).max() <= 1e-5 * np.abs(rows[0]).max() > 0
    assert (rows[1] != rows[0]).any()  # it was another engine
    for one, other in zip(*predictions):
        assert [found['class'] for found in one['predictions']] == [found['class'] for found in other['predictions']]


@pytest.mark.parametrize(('given', 'expected'), [(None, '1'), ('0', '0'), ('1', '1')])
def test_onednn_is_chosen_unless_the_user_chose(given, expected, monkeypatch):
    monkeypatch.delenv('TF_ENABLE_ONEDNN_OPTS')
    if given is not None:
        monkeypatch.setenv('TF_ENABLE_ONEDNN_OPTS', given)
    common.prefer_onednn()
    assert os.environ['TF_ENABLE_ONEDNN_OPTS'] == expected


CALL = '''
import os, sys
sys.path.insert(0, sys.argv[1])
from nets.cli import common, main
load = common.load_tensorflow

def load_and_register():
    load()
    import tiny_inference
    tiny_inference.register()

common.load_tensorflow = load_and_register
assert 'tensorflow' not in sys.modules and 'TF_ENABLE_ONEDNN_OPTS' not in os.environ
code = main.main(sys.argv[2:])
assert os.environ['TF_ENABLE_ONEDNN_OPTS'] == '1'
sys.exit(code)
'''


def test_with_onednn_features_are_those_of_a_plain_session_without(files, tmp_path):
    """This process computes without oneDNN (tests/conftest.py), the command as users run it."""
    checkpoint, _, images = files
    end_points = [f'{tiny.NAME}/block1', f'{tiny.NAME}/logits', 'global_pool']
    line = ['extract', '--network', tiny.NAME, '--checkpoint', checkpoint, '--images', str(images), '--output',
            str(tmp_path / 'out.npz'), '--end_point', *end_points]
    environment = {key: value for key, value in os.environ.items() if key != 'TF_ENABLE_ONEDNN_OPTS'}
    subprocess.run([sys.executable, '-c', CALL, os.path.join(TESTS, 'inference'), *line], check=True,
                   stderr=subprocess.DEVNULL, cwd=ROOT, env=environment)
    actual = np.load(tmp_path / 'out.npz')
    with tf.Graph().as_default(), tf.Session() as session:
        prepare = preprocessing.get_preprocessing('inception', False)
        pictures = [tf.image.decode_png(tf.io.read_file(path), 3) for path in actual['names']]
        batch = tf.stack([prepare(picture, tiny.SIZE, tiny.SIZE) for picture in pictures])
        _, known = nets_factory.get_network_fn(tiny.NAME, tiny.NUM_CLASSES)(batch)
        tf.train.Saver().restore(session, checkpoint)
        expected = session.run({name: known[name] for name in end_points})
    for name in end_points:
        assert np.abs(actual[name] - expected[name]).max() <= 1e-5 * np.abs(expected[name]).max() > 0
