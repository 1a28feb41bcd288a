"""The status of tf-slim's own tests: collects results of `upstream.py`, and writes docs/tf_slim_status.md.

Run as `python upstream_status.py RESULTS`, where RESULTS/<run>/<module>.json are results of `upstream.py` for each
run of RUNS; without RESULTS it writes the page anew from upstream_status.json.
"""

import collections
import glob
import json
import os
import sys

_FOLDER = os.path.dirname(os.path.abspath(__file__))
STATUS = os.path.join(_FOLDER, 'upstream_status.json')
PAGE = os.path.join(os.path.dirname(os.path.dirname(_FOLDER)), 'docs', 'tf_slim_status.md')
# Run -> heading of its column.
RUNS = collections.OrderedDict([
    ('tf115', 'TF 1.15'), ('tf221_unrepaired', '2.21, no repair'), ('tf221', '**2.21**'),
    ('tf216_unrepaired', '2.16, no repair'), ('tf216', '**2.16**')])
# Slower than this, in seconds on one core, and `test_upstream.py` runs it on request only.
_SLOW = 5.0
_REASONS = os.path.join(_FOLDER, 'upstream_reasons.json')
_TEMPLATE = os.path.join(_FOLDER, 'tf_slim_status.template.md')


def collect(folder):
    """The status, from the results in a folder: counts by module and run, tests that do not pass by run."""
    counts, not_passed, slow = collections.OrderedDict(), {run: {} for run in RUNS}, set()
    for run in RUNS:
        for path in sorted(glob.glob(os.path.join(folder, run, '*.json'))):
            with open(path) as stream:
                outcomes = json.load(stream)
            module = os.path.basename(path)[:-len('.json')]
            counts.setdefault(module, {})[run] = collections.Counter(value[0] for value in outcomes.values())
            if not run.endswith('unrepaired'):
                not_passed[run].update((k, v[0]) for k, v in outcomes.items() if v[0] != 'passed')
            slow.update(k for k, v in outcomes.items() if run == 'tf221' and v[2] > _SLOW)
    return {'counts': counts, 'not_passed': not_passed, 'slow': sorted(slow)}


def _cell(counts):
    """For example '10', or '8 of 10' where two do not pass."""
    total = sum(counts.values())
    passed = counts.get('passed', 0)
    return str(total) if passed == total else '{} of {}'.format(passed, total)


def _table(counts):
    lines = ['| Test module | ' + ' | '.join(RUNS.values()) + ' |', '|---' * (len(RUNS) + 1) + '|']
    totals = {run: collections.Counter() for run in RUNS}
    for module in sorted(counts):
        for run in RUNS:
            totals[run].update(counts[module].get(run, {}))
        cells = [_cell(counts[module][run]) if run in counts[module] else '–' for run in RUNS]
        lines.append('| `{}` | {} |'.format(module[len('tf_slim.'):], ' | '.join(cells)))
    return lines + ['| **all** | ' + ' | '.join(_cell(totals[run]) for run in RUNS) + ' |']


def _not_passed(status):
    """The tests that do not pass where tf-slim is repaired, or needs no repair.

    Raises:
      KeyError: If upstream_reasons.json does not say why.
    """
    with open(_REASONS) as stream:
        reasons = json.load(stream)
    lines = ['| Test | fails under | why |', '|---|---|---|']
    for test in sorted(set().union(*status['not_passed'].values())):
        runs = ', '.join(RUNS[run].strip('*') for run in RUNS if test in status['not_passed'][run])
        lines.append('| `{}` | {} | {} |'.format(test[len('tf_slim.'):], runs, reasons[test]))
    return lines


def render(status):
    """The page, for a status as `collect` gives it."""
    with open(_TEMPLATE) as stream:
        page = stream.read()
    page = page.replace('@COUNTS@', '\n'.join(_table(status['counts'])))
    page = page.replace('@SLOW@', str(len(status['slow'])))
    return page.replace('@NOT_PASSED@', '\n'.join(_not_passed(status)))


def main():
    """Collects where a folder of results is given; writes the page."""
    if len(sys.argv) > 1:
        with open(STATUS, 'w') as stream:
            json.dump(collect(sys.argv[1]), stream, indent=1, sort_keys=True)
    with open(STATUS) as stream:
        page = render(json.load(stream))
    with open(PAGE, 'w') as stream:
        stream.write(page)


if __name__ == '__main__':
    main()
