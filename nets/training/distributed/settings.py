"""What a run is told about the processes that train together."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class DistributedConfig:
    """How processes train together; which ones, the environment variable `TF_CONFIG` says.

    Attributes:
        num_clones: Processes that `nets.training.distributed.launcher` starts in place of this one.
        collective_timeout_secs: Seconds after which a worker that does not come to a step ends the run. One whose
            process has ended is noticed at once; this is for machines and networks that fall silent.
        all_reduce_megabytes: Gradients (10^6 bytes) that are summed at a time.
        master, worker_replicas, task, num_ps_tasks, replicas_to_aggregate: slim's flags; what differs from their
            defaults must agree with `TF_CONFIG`.
        sync_replicas: slim's flag, of no effect: all workers always take each step together.
    """
    num_clones: int = 1
    collective_timeout_secs: float = 300
    all_reduce_megabytes: float = 25
    master: str = ''
    worker_replicas: int = 1
    task: int = 0
    num_ps_tasks: int = 0
    sync_replicas: bool = False
    replicas_to_aggregate: int = 1

    def __post_init__(self):
        for name, least in (('num_clones', 1), ('worker_replicas', 1), ('task', 0), ('num_ps_tasks', 0),
                            ('replicas_to_aggregate', 1)):
            if getattr(self, name) < least:
                raise ValueError(f'{name} must be at least {least}; got {getattr(self, name)}.')
        for name in ('collective_timeout_secs', 'all_reduce_megabytes'):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f'{name} must be above 0 and finite; got {getattr(self, name)}.')
