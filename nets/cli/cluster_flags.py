"""The flags of training in several processes: ours, and those of slim that they take the place of."""

from nets.cli.common import Flag

CLUSTER_FLAGS = [
    Flag('num_clones', 'integer', 'distributed.num_clones',
         'Processes to start on this machine, one for each GPU, or sharing the CPU. Each takes an equal part of '
         '--batch_size.'),
    Flag('collective_timeout_secs', 'float', 'distributed.collective_timeout_secs',
         'Seconds after which a worker that fell silent ends the run. One whose process ended is noticed at once. (Not '
         'in slim.)'),
    Flag('all_reduce_megabytes', 'float', 'distributed.all_reduce_megabytes',
         'Gradients that are summed over the workers at a time, in 10^6 bytes. (Not in slim.)'),
    Flag('worker_replicas', 'integer', 'distributed.worker_replicas',
         'Number of workers. TF_CONFIG tells it; what is given here must agree.'),
    Flag('task', 'integer', 'distributed.task',
         'Number of this worker. TF_CONFIG tells it; what is given here must agree.'),
    Flag('sync_replicas', 'bool', 'distributed.sync_replicas', 'Of no effect: workers always take each step together.'),
    Flag('replicas_to_aggregate', 'integer', 'distributed.replicas_to_aggregate',
         'Gradients in a step: those of all workers, which must agree with what is given here.'),
    Flag('num_ps_tasks', 'integer', 'distributed.num_ps_tasks',
         'Must be 0: there are no parameter servers, as every worker holds all variables.'),
    Flag('master', 'string', 'distributed.master', 'Must be empty: every process starts a server of its own.'),
]
