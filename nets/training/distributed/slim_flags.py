"""slim's flags for several machines: they must agree with the cluster, or say what takes their place."""

from nets.training.distributed import tf_config


def check(config, place):
    """Compares the flags with the cluster.

    Args:
        config: A `nets.training.config.DistributedConfig`.
        place: A `tf_config.Place`.

    Raises:
        ValueError: A flag asks for what this process does not do; the message says what to set instead.
    """
    num_workers = place.num_workers
    if config.master:
        raise ValueError(f'--master={config.master} has no use: every process starts a server of its own. Leave it '
                         f'out. {_cluster_of(max(2, num_workers))}')
    if config.num_ps_tasks:
        raise ValueError(f'--num_ps_tasks={config.num_ps_tasks}: there are no parameter servers, as every worker '
                         'holds all variables and the workers average their gradients. Leave it out, and start no '
                         f'parameter servers. {_cluster_of(max(2, config.worker_replicas))}')
    if config.worker_replicas not in (1, num_workers):
        raise ValueError(f'--worker_replicas={config.worker_replicas}, and {_found(num_workers)}. '
                         + _cluster_of(config.worker_replicas, config.task))
    if config.task not in (0, place.index):
        raise ValueError(f'--task={config.task}, and {_found(num_workers)}, of which this process is number '
                         f'{place.index}. {_cluster_of(max(num_workers, config.task + 1), config.task)}')
    if config.replicas_to_aggregate not in (1, num_workers):
        raise ValueError(f'--replicas_to_aggregate={config.replicas_to_aggregate}: every step takes the gradients of '
                         f'all {num_workers} worker(s), once each. Leave it out; --gradient_accumulation averages '
                         'several micro-batches in a step.')


def _found(num_workers):
    return f'{tf_config.VARIABLE} names {num_workers} workers' if num_workers > 1 else (
        f'{tf_config.VARIABLE} names no cluster')


def _cluster_of(num_workers, index=0):
    """How to start so many workers."""
    hosts = tuple(f'HOST{number}:2222' for number in range(num_workers))
    return ('Start the same command on every machine, with the environment variable '
            f"{tf_config.VARIABLE}='{tf_config.Place(hosts, index).to_json()}', where only the index differs; "
            '--num_clones=N starts N processes on one machine.')
