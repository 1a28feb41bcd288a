"""Where a program runs: versions, machine, command line."""

import datetime
import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata

import numpy as np
import tensorflow.compat.v1 as tf

import nets
from nets import cores

# They change what TensorFlow computes, or where.
_VARIABLES = ('CUDA_VISIBLE_DEVICES', 'TF_CONFIG', 'TF_DETERMINISTIC_OPS', 'TF_ENABLE_ONEDNN_OPTS', 'TF_XLA_FLAGS')


def describe():
    """Tells what a result may depend on besides the program's settings.

    Returns:
        Dict from what it is to its value, both texts.
    """
    variables = [f'{name}={os.environ[name]}' for name in _VARIABLES if name in os.environ]
    told = {
        'command': shlex.join(sys.orig_argv),
        'folder': os.getcwd(),
        'git commit': _git_commit(),
        'variables': ', '.join(variables),
        'begun': f'{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M:%S} UTC',
        'nets': nets.__version__,
        'TensorFlow': tf.__version__,
        'tf-slim': _version('tf-slim'),
        'NumPy': np.__version__,
        'Python': platform.python_version(),
        'system': platform.platform(),
        'host': platform.node(),
        'processor': f'{_processor()}, {cores.count()} cores',
        'accelerators': ', '.join(_accelerators()) or 'none',
    }
    return {name: value for name, value in told.items() if value}


def _git_commit():
    """The commit of the working folder, with `-dirty` if files differ from it; None if it is not of git."""
    command = ['git', 'describe', '--always', '--exclude=*', '--abbrev=40', '--dirty']
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True, timeout=10,
                              env={**os.environ, 'GIT_OPTIONAL_LOCKS': '0'}).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _version(distribution):
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _processor():
    """The processor's name as Linux tells it, else what Python knows."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8', errors='replace') as file:
            return next(line.partition(':')[2].strip() for line in file if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _accelerators():
    """Names of the accelerators that TensorFlow sees."""
    return [tf.config.experimental.get_device_details(one).get('device_name', one.name)
            for one in tf.config.list_physical_devices() if one.device_type != 'CPU']
