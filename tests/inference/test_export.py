"""Every export computes what the network computes, where its users run it; one that does not leaves no file."""

import errno
import json
import os
import subprocess
import sys

import golden
import numpy as np
import pytest
import tensorflow as tf2
import tensorflow.compat.v1 as tf
from narrow_networks import BATCHES, plain, register, relative, save

from nets.data import images as image_files
from nets.data import preprocessing
from nets.inference import export
from nets.inference.formats import frozen_graph, onnx_file, saved_model

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATHS = {'saved_model': 'served', 'frozen_graph': 'net.pb', 'onnx': 'net.onnx', 'tflite': 'net.tflite'}
NEEDS = {'onnx': ('onnx', 'onnxruntime')}
DENSE = {'global_pool': False, 'output_stride': 8}


def exported(tmp_path, prefix, file_format, **kwargs):
    for package in NEEDS.get(file_format, ()):
        pytest.importorskip(package)
    kwargs.setdefault('image_size', 33)
    return export.export('small', prefix, str(tmp_path / PATHS[file_format]), **kwargs)


@pytest.mark.parametrize('file_format', list(PATHS))
@pytest.mark.parametrize(('name', 'kwargs'), [
    ('resnet_v2_50', DENSE), ('resnext_50_32x4d', {})])
def test_an_export_is_compared_with_the_network(name, kwargs, file_format, monkeypatch, tmp_path, saved):
    register(monkeypatch, name)
    prefix, _ = saved(name)
    result = exported(tmp_path, prefix, file_format, **kwargs)
    assert result['format'] == file_format
    assert 0 < result['error'] < 1e-5
    assert result['size'] == export.size_of(result['path']) > 10000
    assert list(result['outputs']) == ['predictions']
    assert os.listdir(tmp_path) == [os.path.basename(result['path'])]


def test_a_frozen_graph_runs_by_the_names_that_are_told(monkeypatch, tmp_path, saved):
    register(monkeypatch, 'resnet_v1_50')
    prefix, expected = saved('resnet_v1_50')
    result = exported(tmp_path, prefix, 'frozen_graph', end_points=['global_pool', 'predictions'], dynamic_size=True)
    graph_def = tf.GraphDef()
    with open(result['path'], 'rb') as file:
        graph_def.ParseFromString(file.read())
    assert not {'Identity', 'Assert', 'Shape', 'Reshape', 'FusedBatchNormV3'} & {node.op for node in graph_def.node}
    tf.import_graph_def(graph_def, name='')
    with tf.Session() as session:
        actual = [session.run({key: name + ':0' for key, name in result['outputs'].items()},
                              {result['inputs']['images'] + ':0': images}) for images in BATCHES]
    assert relative(actual, [{key: one[key] for key in result['outputs']} for one in expected]) < 1e-5


def png(size, seed):
    return image_files.encode_grey_png(np.random.RandomState(seed).randint(0, 256, size).astype(np.uint8))


LOADING = '''
import json, sys
import tensorflow as tf
path, image = sys.argv[1:]
loaded = tf.saved_model.load(path)
with open(image, 'rb') as file:
    encoded = file.read()
by_bytes = loaded.signatures['encoded_images'](encoded_images=tf.constant([encoded, encoded]))
by_numbers = loaded.signatures['serving_default'](images=tf.ones([2, 48, 48, 3]))
print(json.dumps([one['small/spatial_squeeze'].numpy().tolist() for one in (by_bytes, by_numbers)]))
'''


def test_a_saved_model_takes_files_and_numbers_in_a_process_without_this_library(monkeypatch, tmp_path):
    register(monkeypatch, 'resnet_v1_50')  # the preset is vgg
    encoded = png((70, 90), 1)
    image = tf2.image.decode_png(encoded, channels=3)
    with tf.Session() as session:
        prepared = session.run(preprocessing.get_preprocessing('vgg', False)(image, 48, 48))
    prefix, expected = save(tmp_path, [prepared[None], np.ones([1, 48, 48, 3], np.float32)])
    path = exported(tmp_path, prefix, 'saved_model', image_size=48, end_points=['small/spatial_squeeze'])['path']
    (tmp_path / 'image.png').write_bytes(encoded)
    output = subprocess.run([sys.executable, '-W', 'ignore', '-c', LOADING, path, str(tmp_path / 'image.png')],
                            check=True, capture_output=True, text=True, cwd=str(tmp_path)).stdout
    logits = [{'small/spatial_squeeze': np.repeat(one['small/spatial_squeeze'], 2, 0)} for one in expected]
    loaded = [{'small/spatial_squeeze': np.array(value)} for value in json.loads(output.splitlines()[-1])]
    assert relative(loaded, logits) < 1e-5
    with saved_model.open_signature(path, 'encoded_images') as run:  # TensorFlow 1's loader
        assert relative([run([encoded, encoded])], logits[:1]) < 1e-5


@pytest.mark.parametrize(('module', 'file_format'), [(frozen_graph, 'frozen_graph'), (onnx_file, 'onnx'),
                                                     (saved_model, 'saved_model')])
def test_an_export_that_computes_something_else_leaves_no_file(module, file_format, monkeypatch, tmp_path, saved):
    register(monkeypatch, 'resnet_v1_18')
    prefix, _ = saved('resnet_v1_18')
    write = module.write

    def damaging(folded, path, preset):
        folded.nodes.constants['small/conv1/Conv2D/weights'][0, 0, 0, 0] += .1
        return write(folded, path, preset)

    monkeypatch.setattr(module, 'write', damaging)
    with pytest.raises(ValueError, match='differs from the network by .* nothing was written'):
        exported(tmp_path, prefix, file_format)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_told_with_the_path_and_leaves_no_file(monkeypatch, tmp_path, saved):
    register(monkeypatch, 'resnet_v1_18')

    def full(folded, path, preset):
        with open(path, 'wb') as file:
            file.write(b'x')
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(frozen_graph, 'write', full)
    with pytest.raises(ValueError, match='cannot be written to: No space left on device'):
        exported(tmp_path, saved('resnet_v1_18')[0], 'frozen_graph')
    assert os.listdir(tmp_path) == []


def test_probabilities_of_0_and_1_do_not_hide_that_something_is_wrong(monkeypatch, tmp_path):
    register(monkeypatch, 'resnet_v1_18')
    with plain(num_classes=5) as (session, _, _):
        biases, = [one for one in tf.global_variables() if one.op.name == 'small/logits/biases']
        golden.assign(session, [(biases, np.array([0, 1e5, 0, 0, 0], np.float32))])
        prefix = tf.train.Saver(tf.global_variables()).save(session, str(tmp_path / 'sure.ckpt'))
    assert exported(tmp_path, prefix, 'frozen_graph')['error'] < 1e-5
    write = frozen_graph.write

    def damaging(folded, path, preset):
        folded.nodes.constants['small/logits/biases'] = np.array([9e4, 1e5, 0, 0, 0], np.float32)
        return write(folded, path, preset)

    monkeypatch.setattr(frozen_graph, 'write', damaging)
    with pytest.raises(ValueError, match='differs from the network by'):
        exported(tmp_path, prefix, 'frozen_graph', force=True)


def test_statistics_that_are_not_numbers_are_no_good_export(monkeypatch, tmp_path, saved):
    register(monkeypatch, 'resnet_v1_18')
    prefix, _ = saved('resnet_v1_18')
    reader = tf.train.NewCheckpointReader(prefix)
    with tf.Graph().as_default(), tf.Session() as session:
        for name in reader.get_variable_to_shape_map():
            value = reader.get_tensor(name)
            tf.Variable(value * np.nan if name == 'small/conv1/BatchNorm/moving_variance' else value, name=name)
        session.run(tf.global_variables_initializer())
        prefix = tf.train.Saver().save(session, str(tmp_path / 'nan.ckpt'))
    with pytest.raises(ValueError, match='differs from the network by nan'):
        exported(tmp_path, prefix, 'frozen_graph')


def test_nothing_is_overwritten_unless_asked_and_nothing_else_ever(monkeypatch, tmp_path, saved):
    register(monkeypatch, 'resnet_v1_18')
    prefix, _ = saved('resnet_v1_18')
    for file_format in ('frozen_graph', 'saved_model'):  # a file and a directory
        path = exported(tmp_path, prefix, file_format)['path']
        size = export.size_of(path)
        with pytest.raises(ValueError, match='exists; --force replaces it'):
            exported(tmp_path, prefix, file_format)
        assert exported(tmp_path, prefix, file_format, force=True, end_points=['global_pool'])['size'] < size
    photos = tmp_path / 'photos'
    photos.mkdir()
    (photos / 'cat.jpg').write_bytes(b'cat')
    with pytest.raises(ValueError, match='holds something other than a SavedModel; it is not replaced'):
        export.export('small', prefix, str(photos), force=True)
    assert (photos / 'cat.jpg').read_bytes() == b'cat'


def test_what_cannot_be_is_said_before_any_work(tmp_path):
    for path, kwargs, message in [
            ('net.h5', {}, r'must end in \.pb, \.onnx or \.tflite'), ('no/net.pb', {}, 'does not exist; make it first'),
            ('net', {'file_format': 'caffe'}, "must be one of saved_model, frozen_graph, onnx, tflite; got 'caffe'")]:
        with pytest.raises(ValueError, match=message):
            export.export('resnet_v1_50', 'no.ckpt', str(tmp_path / path), **kwargs)
