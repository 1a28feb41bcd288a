"""Two workers on this machine beside one process with the whole batch: time of a step, bytes moved, what overlaps.

    python benchmarks/distributed.py [--network resnet_v1_50] [--image_size 224] [--batch_size 8] [--workers 2]
        [--steps 6] [--rounds 2] [--megabytes 25] [--compute_secs 0.1]

Each round starts one process that has all cores, then the workers, which share them. A worker also times the same step
without the all-reduce, while the others do the same, and the all-reduce alone. The images are constants. Bytes are
those of the loopback device (`/proc/net/dev`), which everything else on the machine may use as well. At the end the
model is printed of how such a step scales over networks of other speeds:

    t(N) = t_compute + max(0, 2 (N - 1) / N * bytes / bandwidth - overlap)

where the overlap is the time from the first all-reduce to the last gradient, by TensorFlow's trace; and again for a
faster machine, whose step takes `--compute_secs` and overlaps in the same share.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from nets.training.distributed import tf_config

# Bits per second.
NETWORKS = {'1 Gbit/s': 1e9, '10 Gbit/s': 1e10, '25 Gbit/s': 2.5e10, '100 Gbit/s': 1e11}
NODES = (1, 2, 4, 8, 16, 64)


def lo_bytes():
    """Bytes that the loopback device has sent."""
    with open('/proc/net/dev', encoding='ascii') as file:
        line, = [line for line in file if line.strip().startswith('lo:')]
    return int(line.split()[9])


def session_of(graph, workers, base):
    import tensorflow.compat.v1 as tf
    session = tf.Session(workers.target, graph=graph, config=workers.session_config(base))
    with graph.as_default():
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
    return session


def build(options, workers, reduce):
    """The graph of a step on this worker's part of the batch; returns it and the step."""
    import types

    import numpy as np
    import tensorflow.compat.v1 as tf

    from nets import nets_factory
    from nets.training import config, graph
    with tf.Graph().as_default() as built:
        tf.set_random_seed(1)
        network_fn = nets_factory.get_network_fn(options.network, 1000, 1e-4, is_training=True)
        size = options.batch_size // workers.num_workers
        images = np.random.RandomState(workers.index).randn(size, options.image_size, options.image_size, 3)
        batch = {'image': tf.constant(images, tf.float32), 'label': tf.constant(np.arange(size) % 1000, tf.int64)}
        settings = config.TrainConfig(data=config.DataConfig(batch_size=options.batch_size),
                                      optimizer=config.OptimizerConfig(optimizer='momentum'))
        task = types.SimpleNamespace(network_fn=network_fn, dataset=types.SimpleNamespace(num_examples=1000))
        return built, graph.build_train_graph(settings, task, batch, reduce).train_op


def times(session, operation, steps):
    """Seconds of each step after the first, and the bytes of the loopback device during them."""
    session.run(operation)
    before, seconds = lo_bytes(), []
    for _ in range(steps):
        begin = time.perf_counter()
        session.run(operation)
        seconds.append(time.perf_counter() - begin)
    return seconds, lo_bytes() - before


def overlap(session, step):
    """What TensorFlow's trace of a step tells of its all-reduces: the seconds from the first one's begin to the last
    gradient, and the share of their time that lies before the last gradient."""
    import tensorflow.compat.v1 as tf
    data = tf.RunMetadata()
    session.run(step, options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), run_metadata=data)
    nodes = [node for device in data.step_stats.dev_stats for node in device.node_stats]
    ends = [one.all_start_micros + one.all_end_rel_micros for one in nodes if one.node_name.startswith('gradients')]
    spans = [(one.all_start_micros, one.all_start_micros + one.all_end_rel_micros)
             for one in nodes if one.node_name.startswith('CollectiveReduce')]
    hidden = sum(max(0, min(end, max(ends)) - start) for start, end in spans)
    return max(0, max(ends) - min(spans)[0]) / 1e6, hidden / sum(end - start for start, end in spans)


def child(options):
    """One process; prints its measurements as JSON."""
    import tensorflow.compat.v1 as tf

    from nets.training.distributed import all_reduce, cluster
    tf.disable_v2_behavior()
    workers, base = cluster.Cluster(tf_config.read()), tf.ConfigProto(allow_soft_placement=True)
    result = {}
    with workers.joined(base):
        reduced = []

        def reduce(tensors):
            reduced.extend(tensors)
            return all_reduce.mean(workers, tensors, options.megabytes * 1e6)

        parts = {'step': build(options, workers, reduce if workers.num_workers > 1 else None)}
        if workers.num_workers > 1:
            parts['compute'] = build(options, workers, None)
            with tf.Graph().as_default() as graph:
                zeros = [tf.Variable(tf.zeros(one.shape)) for one in reduced]
                means = all_reduce.mean(workers, [one.read_value() for one in zeros], options.megabytes * 1e6)
                parts['all-reduce'] = graph, tf.group(*means)
            result['bytes'] = sum(one.shape.num_elements() * 4 for one in reduced)
        for name, (graph, operation) in parts.items():
            with session_of(graph, workers, base) as session:
                workers.gather(None)
                result[name], moved = times(session, operation, options.steps)
                if name == 'step' and workers.num_workers > 1:
                    workers.gather(None)
                    result['moved'] = moved / options.steps
                    result['overlap'], result['hidden'] = overlap(session, operation)
    if workers.is_chief:
        print(json.dumps(result))


def run(arguments, num_workers):
    """Starts the processes, and returns the chief's measurements."""
    threads = str(max(1, len(os.sched_getaffinity(0)) // num_workers))
    ports = [29500 + os.getpid() % 1000 + number for number in range(num_workers)]
    places = [tf_config.Place(tuple(f'127.0.0.1:{port}' for port in ports) if num_workers > 1 else (), index)
              for index in range(num_workers)]
    processes = [subprocess.Popen(
        [sys.executable, __file__, '--child', *arguments], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL,
        env=dict(os.environ, TF_CONFIG=place.to_json() if num_workers > 1 else '', TF_NUM_INTRAOP_THREADS=threads))
        for place in places]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit('A process failed; run it by hand with --child.')
    return json.loads(outputs[0])


def model(compute, num_bytes, hidden):
    """Prints the table of seconds per step, and of efficiency."""
    print(f'\nModel: t_compute {compute:.3f} s, {num_bytes / 1e6:.1f} MB, overlap {hidden:.3f} s')
    print('| network |', ' | '.join(f'{count} machines' for count in NODES), '|')
    print('| --- |', ' | '.join('---' for _ in NODES), '|')
    for name, bandwidth in NETWORKS.items():
        seconds = [compute + max(0, 2 * (count - 1) / count * num_bytes * 8 / bandwidth - hidden) for count in NODES]
        print(f'| {name} |', ' | '.join(f'{one:.3f} s, {compute / one:.0%}' for one in seconds), '|')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--network', default='resnet_v1_50')
    for name, default in (('image_size', 224), ('batch_size', 8), ('workers', 2), ('steps', 6), ('rounds', 2)):
        parser.add_argument(f'--{name}', type=int, default=default)
    parser.add_argument('--megabytes', type=float, default=25)
    parser.add_argument('--compute_secs', type=float, default=0.1)
    parser.add_argument('--child', action='store_true', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options)
        return
    alone, together = [], []
    for _ in range(options.rounds):
        alone.append(run(sys.argv[1:], 1))
        together.append(run(sys.argv[1:], options.workers))

    def median(rounds, name):
        return statistics.median(second for one in rounds for second in one[name])

    num_bytes = together[0]['bytes']
    print(f'{options.network}, {options.image_size} pixels, batch {options.batch_size}, medians of {options.rounds} '
          f'rounds of {options.steps} steps:')
    print(f'  one process            {median(alone, "step"):.3f} s per step')
    print(f'  {options.workers} workers              {median(together, "step"):.3f} s per step')
    print(f'  ... without all-reduce {median(together, "compute"):.3f} s')
    print(f'  all-reduce alone       {median(together, "all-reduce"):.3f} s')
    print(f'  summed per step        {num_bytes / 1e6:.2f} MB; sent by all workers, computed '
          f'{2 * (options.workers - 1) * num_bytes / 1e6:.2f} MB, measured '
          f'{statistics.median(one["moved"] for one in together) / 1e6:.2f} MB')
    window, hidden = (statistics.median(one[name] for one in together) for name in ('overlap', 'hidden'))
    print(f'  all-reduces            {hidden:.0%} of their time lies before the last gradient, {window:.3f} s '
          'after the first began')
    compute = median(together, 'compute')
    for seconds in (compute, options.compute_secs):
        model(seconds, num_bytes, seconds * window / compute)


if __name__ == '__main__':
    main()
