"""Memory and time of training steps that keep all activations, or compute most of them again.

    python benchmarks/recompute.py [--sides none unit block] [--network resnet_v1_101] [--size 321] [--batch 4]

Each side has a process of its own, which waits while another one works: they take steps in turn, so that a busy machine
slows all of them. Memory is the peak of the process's resident memory over all steps, less what it had before the first
one, when the variables and the optimizer's were there. The gradients after these steps are compared with those of the
first side, variable by variable: the largest difference over the largest value of the variable's gradient. A side may
be a number of units, and it may be given settings as environment variables, such as `unit,MALLOC_ARENA_MAX=1`.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NUM_CLASSES = 21


def status(field):
    """A field of the process's status, in MB."""
    with open('/proc/self/status') as file:
        return int(re.search(rf'{field}:\s+(\d+) kB', file.read())[1]) / 1e3


def dense_loss(arguments):
    """The loss of a network that labels each pixel of its features, on random images with random labels."""
    import tensorflow.compat.v1 as tf

    from nets import nets_factory
    rng = np.random.RandomState(0)
    images = tf.placeholder(tf.float32, [arguments.batch, arguments.size, arguments.size, 3])
    network_fn = nets_factory.get_network_fn(arguments.network, NUM_CLASSES, 1e-4, is_training=True)
    logits, _ = network_fn(images, global_pool=False, spatial_squeeze=False, output_stride=arguments.output_stride)
    labels = tf.constant(rng.randint(NUM_CLASSES, size=logits.shape.as_list()[:3]))
    tf.losses.sparse_softmax_cross_entropy(labels, logits)
    return tf.losses.get_total_loss(), {images: rng.uniform(-1, 1, images.shape.as_list())}


def work(side, arguments):
    """Takes a step for each line of standard input, and answers with its seconds, the processor's and the peak in MB; a
    line with a path has it write the gradients there."""
    sys.path.insert(0, ROOT)
    import tensorflow.compat.v1 as tf

    from nets import recompute
    tf.disable_v2_behavior()
    tf.set_random_seed(0)
    loss, feed = dense_loss(arguments)
    optimizer = tf.train.MomentumOptimizer(0.01, 0.9)
    pairs = recompute.compute_gradients(optimizer, loss, every=int(side) if side.isdigit() else side)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        train_op = optimizer.apply_gradients(pairs)
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    step = session.make_callable([train_op, loss], list(feed))
    print(len(tf.get_default_graph().get_operations()), flush=True)
    with open('/proc/self/clear_refs', 'w') as file:
        file.write('5')  # begins the peak anew
    before = status('VmRSS')
    for line in sys.stdin:
        if line.strip():
            np.savez(line.strip(), *session.run([gradient for gradient, _ in pairs], feed))
            print(flush=True)
        else:
            begin, cpu = time.perf_counter(), time.process_time()
            step(*feed.values())
            print(time.perf_counter() - begin, time.process_time() - cpu, status('VmHWM') - before, flush=True)


def ask(process, line=None):
    if line is not None:
        process.stdin.write(line + '\n')
        process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise SystemExit('A side ended: {}'.format(' '.join(process.args)))
    return answer.strip()


def start(side):
    """The process of a side."""
    name, *settings = side.split(',')
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL='3', **dict(one.split('=', 1) for one in settings))
    process = subprocess.Popen(
        [sys.executable, '-W', 'ignore', __file__, *sys.argv[1:], '--work', name], text=True, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None if os.environ.get('SHOW') else subprocess.DEVNULL)
    ask(process)
    return process


def difference(path, other):
    """The largest difference between gradients over the largest of a variable."""
    with np.load(path) as ones, np.load(other) as others:
        return max(np.abs(ones[key] - others[key]).max() / max(np.abs(ones[key]).max(), 1e-30) for key in ones.files)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sides', nargs='+', default=['none', 'unit', 'block'])
    parser.add_argument('--network', default='resnet_v1_101')
    parser.add_argument('--output_stride', type=int, default=8)
    parser.add_argument('--size', type=int, default=321)
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--steps', type=int, default=4, help='of each side, besides one that is not timed')
    parser.add_argument('--work', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        return work(arguments.work, arguments)
    processes = {side: start(side) for side in arguments.sides}
    rounds = [{side: list(map(float, ask(process, '').split())) for side, process in processes.items()}
              for _ in range(arguments.steps + 1)]
    with tempfile.TemporaryDirectory() as folder:
        paths = {side: os.path.join(folder, f'{i}.npz') for i, side in enumerate(processes)}
        for side, process in processes.items():
            ask(process, paths[side])
        first = arguments.sides[0]
        print(f'| kept | peak MB | to {first} | s/step | to {first} | CPU s/step | to {first} | gradients differ by |')
        print('| --- | --- | --- | --- | --- | --- | --- | --- |')
        for side, process in processes.items():
            seconds, cpu = zip(*[(one[side][0], one[side][1]) for one in rounds[1:]], strict=True)
            ratios = [statistics.median(one[side][i] / one[first][i] for one in rounds[1:]) for i in (0, 1)]
            peak = rounds[-1][side][2]
            print('| {} | {:.0f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.1e} |'.format(
                side, peak, peak / rounds[-1][first][2], statistics.median(seconds), ratios[0], statistics.median(cpu),
                ratios[1], difference(paths[first], paths[side])))
            process.stdin.close()
            process.wait()
    return None


if __name__ == '__main__':
    main()
