"""Time and memory of dense features on the CPU: ResNet-50 at output stride 8, beside `tf_slim.nets`.

    python benchmarks/dense_backbone.py [--sides tf_slim nets folded folded_constants] [--size 513] [--rounds 9]

Each side has a process of its own and the same random weights. First each runs three times alone, for the memory: how
far the process's resident set grows in these runs over what it was with TensorFlow, graph and weights loaded. So the
activations count, and what TensorFlow does before its first run and keeps after it, such as copies of a graph's
constants. The whole process's largest, loading included, stands beside it. Then they are timed in turn, round by round,
while the others wait; ratios are medians of the rounds' ratios to the first side. A side may be given environment
variables, such as `nets,TF_ENABLE_ONEDNN_OPTS=0`. Only Linux tells what is measured here.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NETWORK = 'resnet_v1_50'
DENSE = {'global_pool': False, 'is_training': False}


def unfolded(module, checkpoint, shape, output_stride, native=None):
    import tensorflow.compat.v1 as tf
    import tf_slim as slim

    import nets.slim_compat  # noqa: F401, makes tf_slim.nets work
    from nets import convolution
    resnet_v1 = importlib.import_module(module)
    images = tf.placeholder(tf.float32, shape)
    with slim.arg_scope(resnet_v1.resnet_arg_scope()), slim.arg_scope([convolution.atrous], native=native):
        features, _ = resnet_v1.resnet_v1_50(images, output_stride=output_stride, **DENSE)
    session = tf.Session()
    tf.train.Saver().restore(session, checkpoint)
    return session, images, features


def folded(checkpoint, shape, output_stride, variables=False):
    from nets.inference import fold
    end_point = NETWORK + '/block4'
    session, images, tensors = fold.folded_session(
        NETWORK, checkpoint, [end_point], image_shape=shape, variables=variables, output_stride=output_stride,
        global_pool=False)
    return session, images, tensors[end_point]


SIDES = {
    'tf_slim': lambda *args: unfolded('tf_slim.nets.resnet_v1', *args),
    'nets': lambda *args: unfolded('nets.resnet_v1', *args),
    'nets_space_to_batch': lambda *args: unfolded('nets.resnet_v1', *args, native=False),
    'folded': lambda *args: folded(*args, variables=True),
    'folded_constants': folded,
}


def memory(field):
    """`VmRSS`, the resident set, or `VmHWM`, its largest so far, in megabytes."""
    with open('/proc/self/status', encoding='ascii') as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field + ':')) / 1024


def work(spec, checkpoint, size, output_stride):
    """Says how much memory three runs take, then answers each line with the seconds, of clock and processor, of one."""
    name, *settings = spec.split(',')
    os.environ.update(setting.split('=', 1) for setting in settings)
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    sys.path.insert(0, ROOT)
    import tensorflow.compat.v1 as tf
    tf.logging.set_verbosity('ERROR')
    tf.disable_v2_behavior()
    shape = [1, size, size, 3]
    session, images, features = SIDES[name](checkpoint, shape, output_stride)
    run = session.make_callable(features, [images])
    batch = np.random.RandomState(0).uniform(-128, 128, shape).astype(np.float32)
    before, loading = memory('VmRSS'), memory('VmHWM')
    with open('/proc/self/clear_refs', 'w', encoding='ascii') as file:
        file.write('5')  # the largest from now on
    for _ in range(3):
        result = None  # only one at a time
        result = run(batch)
    peak = memory('VmHWM')
    print(json.dumps([peak - before, max(peak, loading), [float(result.mean()), float(result.std())]]), flush=True)
    del result
    for _ in sys.stdin:
        begin, cpu = time.perf_counter(), time.process_time()
        run(batch)
        print(json.dumps([time.perf_counter() - begin, time.process_time() - cpu]), flush=True)


def write_checkpoint(folder):
    """Random weights, from a process of its own."""
    code = ('import sys\nsys.path.insert(0, sys.argv[1])\nimport tensorflow.compat.v1 as tf\n'
            'from nets import nets_factory\ntf.disable_v2_behavior()\n'
            'nets_factory.get_network_fn(sys.argv[3], None)(tf.placeholder(tf.float32, [None, 224, 224, 3]))\n'
            'session = tf.Session()\nsession.run(tf.global_variables_initializer())\n'
            # Where all biases are 0, TensorFlow leaves them out.
            'session.run([tf.assign(v, tf.random_uniform(v.shape, .1, .2)) for v in tf.global_variables()\n'
            '             if v.op.name.endswith("beta")])\n'
            'tf.train.Saver().save(session, sys.argv[2])\n')
    prefix = os.path.join(folder, 'model.ckpt')
    subprocess.run([sys.executable, '-W', 'ignore', '-c', code, ROOT, prefix, NETWORK], check=True, capture_output=True)
    return prefix


def answer(process):
    line = process.stdout.readline()
    if not line:
        raise SystemExit('A side ended: {}'.format(' '.join(process.args)))
    return json.loads(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sides', nargs='+', default=['tf_slim', 'nets', 'folded', 'folded_constants'],
                        help='among {}'.format(', '.join(SIDES)))
    parser.add_argument('--size', type=int, default=513, help='height and width of the image')
    parser.add_argument('--output_stride', type=int, default=8)
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--work', nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        return work(*arguments.work, arguments.size, arguments.output_stride)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = write_checkpoint(folder)
        processes, memories = {}, {}
        for spec in arguments.sides:
            processes[spec] = subprocess.Popen(
                [sys.executable, '-W', 'ignore', __file__, '--size', str(arguments.size), '--output_stride',
                 str(arguments.output_stride), '--work', spec, checkpoint], text=True, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=None if os.environ.get('SHOW') else subprocess.DEVNULL)
            memories[spec] = answer(processes[spec])
        rounds = []
        for _ in range(arguments.rounds):
            rounds.append({})
            for spec, process in processes.items():
                process.stdin.write('\n')
                process.stdin.flush()
                rounds[-1][spec] = answer(process)
        for process in processes.values():
            process.stdin.close()
            process.wait()
    report(arguments.sides, memories, rounds)
    return None


def report(sides, memories, rounds):
    first = sides[0]
    print('| side | seconds | times as fast | CPU s | runs: MB | to {} | whole process: MB | mean, deviation |'.format(
        first))
    print('| --- ' * 8 + '|')
    for spec in sides:
        seconds, cpu = (statistics.median(one[spec][i] for one in rounds) for i in (0, 1))
        peak, whole, features = memories[spec]
        print('| {} | {:.3f} | {:.2f} | {:.3f} | {:.0f} | {:.2f} | {:.0f} | {:.5f}, {:.5f} |'.format(
            spec, seconds, statistics.median(one[first][0] / one[spec][0] for one in rounds), cpu, peak,
            peak / memories[first][0], whole, *features))


if __name__ == '__main__':
    main()
