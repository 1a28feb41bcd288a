"""XLA computes what TensorFlow's kernels compute."""

import json
import os
import subprocess
import sys

import tiny_network


def test_a_step_is_equal():
    script = os.path.join(os.path.dirname(__file__), 'xla_step.py')
    environment = dict(os.environ, PYTHONPATH=tiny_network.ROOT, TF_XLA_FLAGS='--tf_xla_cpu_global_jit')
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, env=environment)
    result = json.loads(done.stdout.splitlines()[-1])
    without, compiled = result['clusters']
    assert without == 0
    assert compiled > 0
    assert result['difference'] < 1e-5
