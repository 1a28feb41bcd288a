"""Images per second of ResNet-50 at inference on the CPU: this library's folded graph beside other engines.

    python benchmarks/inference.py [--engines nets tf_slim torch onnxruntime keras] [--batches 1 8] [--rounds 9]

Each engine has a process of its own, which waits while another one works: they work in turn, round by round, so that a
busy machine slows all of them. An engine may be given settings, as environment variables and as fields of
`tf.ConfigProto`, such as `nets,TF_ENABLE_ONEDNN_OPTS=0,inter_op_parallelism_threads=1`. The table has the median rate,
the median of the rounds' ratios to the first engine, and the processor's time for an image, which other processes
disturb least. All have random weights, as speed does not depend on them.
"""

import argparse
import functools
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

SIZE = 224
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def nets_engine(checkpoint, settings):
    from nets.inference import engines, fold
    return engines.open_engine('tensorflow', 'resnet_v1_50', checkpoint, ['predictions'], 1000,
                               config=configured(settings, fold.session_config()))


def unfolded_engine(checkpoint, settings, module='nets.resnet_v1'):
    import tensorflow.compat.v1 as tf
    import tf_slim as slim

    import nets.slim_compat  # noqa: F401, makes tf_slim.nets work
    resnet_v1 = importlib.import_module(module)
    images = tf.placeholder(tf.float32, [None, SIZE, SIZE, 3])
    with slim.arg_scope(resnet_v1.resnet_arg_scope()):
        _, end_points = resnet_v1.resnet_v1_50(images, 1000, is_training=False)
    session = tf.Session(config=configured(settings, tf.ConfigProto()))
    session.run(tf.global_variables_initializer())
    return lambda batch: session.run(end_points['predictions'], {images: batch})


def tf_slim_engine(checkpoint, settings):
    return unfolded_engine(checkpoint, settings, 'tf_slim.nets.resnet_v1')


def configured(settings, config):
    """Sets fields of a `tf.ConfigProto`, such as `graph_options.rewrite_options.remapping`."""
    for name, value in settings.items():
        *parts, field = name.split('.')
        setattr(functools.reduce(getattr, parts, config), field, int(value) if value.lstrip('-').isdigit() else value)
    return config


def torch_engine(checkpoint, settings):
    """torchvision's layers, written with torch alone."""
    import torch
    from torch import nn

    class Unit(nn.Module):
        def __init__(self, channels, width, stride):
            super().__init__()
            layers, depth = [], width * 4
            convs = (channels, width, 1, 1), (width, width, 3, stride), (width, depth, 1, 1)
            for inputs, outputs, kernel, step in convs:
                layers += [nn.Conv2d(inputs, outputs, kernel, step, kernel // 2, bias=False), nn.BatchNorm2d(outputs),
                           nn.ReLU(inplace=True)]
            self.residual = nn.Sequential(*layers[:-1])
            self.shortcut = nn.Identity() if channels == depth else nn.Sequential(
                nn.Conv2d(channels, depth, 1, stride, bias=False), nn.BatchNorm2d(depth))

        def forward(self, net):
            return torch.relu(self.shortcut(net) + self.residual(net))

    blocks, channels = [], 64
    for i, count in enumerate((3, 4, 6, 3)):
        for j in range(count):
            blocks.append(Unit(channels, 64 << i, 2 if i and not j else 1))
            channels = 256 << i
    model = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
                          *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000), nn.Softmax(1)).eval()

    def run(batch):
        with torch.inference_mode():
            return model(torch.from_numpy(batch).permute(0, 3, 1, 2).contiguous()).numpy()

    return run


def keras_engine(checkpoint, settings):
    import keras
    model = keras.applications.ResNet50(weights=None)
    return lambda batch: model.predict_on_batch(batch)


def onnxruntime_engine(checkpoint, settings):
    """ONNX Runtime alone, on the file that `nets export` writes."""
    import onnxruntime

    from nets.inference import fold
    from nets.inference.formats import onnx_file
    path = os.path.join(os.path.dirname(checkpoint), 'bare.onnx')
    onnx_file.write(fold.fold('resnet_v1_50', checkpoint, ['predictions'], 1000), path, None)
    options = onnxruntime.SessionOptions()
    for key, value in settings.items():  # such as session.intra_op.allow_spinning=0
        options.add_session_config_entry(key, value)
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})[0]


def nets_onnxruntime_engine(checkpoint, settings):
    from nets.inference import engines
    return engines.open_engine('onnxruntime', 'resnet_v1_50', checkpoint, ['predictions'], 1000)


ENGINES = {'nets': nets_engine, 'unfolded': unfolded_engine, 'tf_slim': tf_slim_engine, 'torch': torch_engine,
           'keras': keras_engine, 'onnxruntime': onnxruntime_engine, 'nets_onnxruntime': nets_onnxruntime_engine}


def work(spec, checkpoint):
    """Answers each line of standard input, a batch size and a time in seconds, with the images per second."""
    name, *settings = spec.split(',')
    settings = dict(setting.split('=', 1) for setting in settings)
    for key in [key for key in settings if key.isupper()]:
        os.environ[key] = settings.pop(key)
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    sys.path.insert(0, ROOT)
    if name != 'torch':
        import tensorflow.compat.v1 as tf
        tf.logging.set_verbosity('ERROR')
        if name != 'keras':
            tf.disable_v2_behavior()
    run = ENGINES[name](checkpoint, settings)
    rng = np.random.RandomState(0)
    print('ready', flush=True)
    for line in sys.stdin:
        batch_size, seconds = int(line.split()[0]), float(line.split()[1])
        batch = rng.uniform(-1, 1, [batch_size, SIZE, SIZE, 3]).astype(np.float32)
        run(batch)
        begin, cpu, count = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - begin < seconds or not count:
            run(batch)
            count += 1
        images = count * batch_size
        print(json.dumps([images / (time.perf_counter() - begin), (time.process_time() - cpu) / images]), flush=True)


def write_checkpoint(folder, network='resnet_v1_50'):
    """A checkpoint with random weights, from a process of its own."""
    code = ('import sys\nsys.path.insert(0, sys.argv[1])\nimport tensorflow.compat.v1 as tf\n'
            'from nets import nets_factory\ntf.disable_v2_behavior()\n'
            'nets_factory.get_network_fn(sys.argv[3], 1000)(tf.placeholder(tf.float32, [None, 224, 224, 3]))\n'
            'session = tf.Session()\nsession.run(tf.global_variables_initializer())\n'
            # Where all biases are 0, TensorFlow leaves them out.
            'session.run([tf.assign(v, tf.random_uniform(v.shape, .1, .2)) for v in tf.global_variables()\n'
            '             if v.op.name.endswith("beta")])\n'
            'tf.train.Saver().save(session, sys.argv[2])\n')
    prefix = os.path.join(folder, network + '.ckpt')
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code, ROOT, prefix, network], check=True, capture_output=True)
    return prefix


def ask(process, line):
    process.stdin.write(line + '\n')
    process.stdin.flush()
    return answer(process)


def answer(process):
    line = process.stdout.readline()
    if not line:
        raise SystemExit('An engine ended: {}'.format(' '.join(process.args)))
    return line.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--engines', nargs='+', default=['tf_slim', 'nets', 'keras', 'torch', 'onnxruntime',
                                                         'nets_onnxruntime'])
    parser.add_argument('--batches', type=int, nargs='+', default=[1, 8])
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--seconds', type=float, default=2., help='that each engine works in each round')
    parser.add_argument('--work', nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        return work(*arguments.work)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = write_checkpoint(folder)
        processes = {}
        for spec in arguments.engines:
            processes[spec] = subprocess.Popen(
                [sys.executable, '-W', 'ignore', __file__, '--work', spec, checkpoint], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=None if os.environ.get('SHOW') else subprocess.DEVNULL)
            answer(processes[spec])
        print('| engine | batch | images/s | to {} | CPU ms/image |'.format(arguments.engines[0]))
        print('| --- | --- | --- | --- | --- |')
        for batch in arguments.batches:
            for process in processes.values():
                ask(process, f'{batch} 0')
            rounds = [{spec: json.loads(ask(process, f'{batch} {arguments.seconds}'))
                       for spec, process in processes.items()} for _ in range(arguments.rounds)]
            for spec in arguments.engines:
                print('| {} | {} | {:.1f} | {:.2f} | {:.0f} |'.format(
                    spec, batch, statistics.median(one[spec][0] for one in rounds),
                    statistics.median(one[spec][0] / one[arguments.engines[0]][0] for one in rounds),
                    statistics.median(one[spec][1] * 1000 for one in rounds)), flush=True)
        for process in processes.values():
            process.stdin.close()
            process.wait()
    return None


if __name__ == '__main__':
    main()
