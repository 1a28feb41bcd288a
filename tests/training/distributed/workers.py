"""Real workers, each a process: forks of this one, which has imported TensorFlow and never run it.

    python workers.py JOBS

JOBS is a JSON list of jobs, which run one after another: `flags` of the training command, `workers` how many, and
optionally `harm`: a worker's `index`, the `signal` that it sends itself before the step `step`; or `extra`: flags of
the last worker. Prints a JSON list: for each job the `codes` and `outputs` of its workers.
"""

import contextlib
import json
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
import tiny_network  # noqa: E402

sys.path.insert(0, tiny_network.ROOT)


def harm_before_step(step, number):
    """Lets this process send itself a signal before it takes a step."""
    from nets.training.distributed import agreement
    feed = agreement.Votes.feed
    taken = []

    def feed_or_die(self, ballot):
        taken.append(None)
        if len(taken) == step:
            os.kill(os.getpid(), number)
        return feed(self, ballot)

    agreement.Votes.feed = feed_or_die


def worker(job, index, addresses, output):
    """What a fork does."""
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    if len(addresses) > 1:
        os.environ['TF_CONFIG'] = json.dumps(
            {'cluster': {'worker': addresses}, 'task': {'type': 'worker', 'index': index}})
    harm = job.get('harm')
    if harm and harm['index'] == index:
        harm_before_step(harm['step'], harm['signal'])
    tiny_network.register()
    from nets.cli import train
    flags = job['flags'] + (job.get('extra', []) if index == len(addresses) - 1 else [])
    return train.main(['train', *flags])


def run(job):
    """Runs a job; see the module's docstring."""
    from nets.training.distributed import launcher
    addresses = [f'127.0.0.1:{port}' for port in launcher.free_ports(job['workers'])]
    with contextlib.ExitStack() as stack:
        outputs = [stack.enter_context(tempfile.TemporaryFile()) for _ in addresses]
        codes = _codes(job, _forks(job, addresses, outputs))
        for output in outputs:
            output.seek(0)
        return {'codes': codes, 'outputs': [output.read().decode() for output in outputs]}


def _forks(job, addresses, outputs):
    processes = []
    for index, output in enumerate(outputs):
        processes.append(os.fork())
        if not processes[-1]:
            code = 70
            with contextlib.suppress(SystemExit):
                code = worker(job, index, addresses, output)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return processes


def _codes(job, processes):
    """The exit codes; a worker that was stopped is killed in the end."""
    codes = {}
    stopped = job.get('harm', {}).get('signal') == signal.SIGSTOP
    while len(codes) < len(processes):
        if stopped and len(codes) == len(processes) - 1:
            os.kill(processes[job['harm']['index']], signal.SIGKILL)
        process, status = os.wait()
        codes[process] = os.waitstatus_to_exitcode(status)
    return [codes[process] for process in processes]


def main():
    import tensorflow.compat.v1 as tf

    from nets.training import loop  # noqa: F401, so that the forks need not import it
    tf.disable_v2_behavior()
    print(json.dumps([run(job) for job in json.loads(sys.argv[1])]))


if __name__ == '__main__':
    main()
