"""Runs test modules of the tf-slim wheel and writes what became of each of their tests.

Run as `python upstream.py [--without_repair] results.json tf_slim.layers.layers_test …`, in a process of its own:
the modules change TensorFlow's global state. It runs under TensorFlow 1.15 as well, where nothing is repaired.
"""

import argparse
import importlib.util
import json
import os
import sys
import time
import traceback
import types
import unittest

from absl import flags

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Names in the tests themselves that Python 3.12 or NumPy 2 no longer have, or (nose) that need a dead package.
MODERNISED = (
    ('from nose.tools import nottest\n', 'nottest = lambda function: function\n'),
    ('.assertRaisesRegexp(', '.assertRaisesRegex('),
    ('.assertEquals(', '.assertEqual('),
    ('.assertItemsEqual(', '.assertCountEqual('),
    ('np.product(', 'np.prod('),
    (', np.object)', ', object)'),
    (', np.bool)', ', bool)'),
    ('.astype(np.float)', '.astype(float)'),
    ('image.tostring()', 'image.tobytes()'),
    ('int(2 * self._labels[i] + ', 'int(2 * self._labels[i, 0] + '),
)
# Every class of tests inherits it from TensorFlow, where it tests nothing.
_NO_TEST = '.test_session'


class _Result(unittest.TestResult):
    """Keeps `[outcome, reason, seconds]` by test."""

    def __init__(self, *args):
        super().__init__(*args)
        self.outcomes = {}
        self._start = 0.0

    def startTest(self, test):
        super().startTest(test)
        self._start = time.time()

    def _keep(self, test, outcome, reason=''):
        name = test.id()
        if self.outcomes.get(name, ('',))[0] != 'failed':
            self.outcomes[name] = [outcome, reason, round(time.time() - self._start, 2)]

    def addSuccess(self, test):
        self._keep(test, 'passed')

    def addSkip(self, test, reason):
        self._keep(test, 'skipped', reason)

    def addFailure(self, test, error):
        self._keep(test, 'failed', ''.join(traceback.format_exception(*error)))

    addError = addFailure

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.addFailure(test, error)


def _load(name):
    """Imports a test module of tf-slim in today's spelling."""
    spec = importlib.util.find_spec(name)
    with open(spec.origin) as stream:
        source = stream.read()
    for old, new in MODERNISED:
        source = source.replace(old, new)
    module = types.ModuleType(name)
    module.__file__ = spec.origin
    sys.modules[name] = module
    exec(compile(source, spec.origin, 'exec'), vars(module))
    return module


def _tests(module, skipped):
    """The tests of a module in a list."""
    suites = unittest.defaultTestLoader.loadTestsFromModule(module)
    return [test for suite in suites for test in suite
            if test.id() not in skipped and not test.id().endswith(_NO_TEST)]


def main():
    """Runs the modules that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('results')
    parser.add_argument('modules', nargs='+')
    parser.add_argument('--without_repair', action='store_true')
    parser.add_argument('--skip', default='', help='names of tests, with commas')
    parser.add_argument('--shard', default='0/1', help='I/N: every N-th test from the I-th on')
    arguments = parser.parse_args()
    sys.path[0] = _ROOT
    repair = None
    if not arguments.without_repair:
        from nets.slim_compat import repair_module as repair
    flags.FLAGS([sys.argv[0]])
    first, step = map(int, arguments.shard.split('/'))
    result = _Result()
    for name in arguments.modules:
        try:
            module = _load(name)
        except ImportError:
            result.outcomes[name] = ['failed', traceback.format_exc(), 0.0]
            continue
        if repair:
            repair(module)
        unittest.TestSuite(_tests(module, arguments.skip.split(','))[first::step]).run(result)
    with open(arguments.results, 'w') as stream:
        json.dump(result.outcomes, stream, indent=1, sort_keys=True)


if __name__ == '__main__':
    main()
