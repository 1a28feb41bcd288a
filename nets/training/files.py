"""Files of a run: directories checked early, whole files or none, and logs of JSON lines that survive a
kill."""

import errno
import json
import os
import re
import tempfile

from nets import atomic_file

METRICS_NAME = 'metrics.jsonl'
# The second is that of an evaluation in the directory of a run, which slim's scripts have as a default.
_REPORT_NAME, _EVAL_REPORT_NAME = 'report.html', 'eval_report.html'


def writable_dir(path, flag):
    """Makes a directory if need be and checks, by writing, that files can be made in it.

    Args:
        path: The directory.
        flag: The flag that it comes from, for the error.

    Returns:
        The path.

    Raises:
        ValueError: It cannot be made or written to; the message says why.
    """
    if not path:
        raise ValueError(f'--{flag} must name a directory; it is empty.')
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b'x' * 4096)
            probe.flush()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        if error.errno == errno.EEXIST:
            reason = 'there is a file of that name'
        raise ValueError(f'--{flag}={path} cannot be written to: {reason}. Name a directory that can be.'
                         ) from error
    return path


def eval_report_path(eval_dir):
    """Where the report of an evaluation goes: not over that of a run.

    Args:
        eval_dir: Directory of the evaluation, which may be that of a training run.

    Returns:
        A path.
    """
    trained = any(os.path.exists(os.path.join(eval_dir, name)) for name in ('checkpoint', METRICS_NAME))
    return os.path.join(eval_dir, _EVAL_REPORT_NAME if trained else _REPORT_NAME)


def remove_leftovers(directory):
    """Removes the temporary files of `nets.atomic_file` that a killed process left.

    Args:
        directory: Where, with nobody else writing there.
    """
    for name in os.listdir(directory):
        if re.search(r'\.\d+\.tmp$', name):
            os.remove(os.path.join(directory, name))


def write_whole(path, text):
    """Writes a text file in UTF-8 such that readers see the old one or the whole new one, even after a crash.

    Args:
        path: The file; its directory must exist.
        text: What to write.
    """
    with atomic_file.writing(path, errors='replace') as file:
        file.write(text)


def append_json_line(path, record):
    """Appends one record as a line of JSON.

    Args:
        path: The file; made if need be.
        record: A dict that JSON can hold.
    """
    with open(path, 'a', encoding='utf-8') as file:
        file.write(json.dumps(record) + '\n')


def read_json_lines(path):
    """Reads what `append_json_line` wrote; a line that a kill cut off, or that is damaged, is left out.

    Args:
        path: The file.

    Returns:
        A list of dicts that have an int `step`; empty if there is no such file.
    """
    if not os.path.exists(path):
        return []
    records = []
    with open(path, encoding='utf-8', errors='replace') as file:
        for line in file:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and isinstance(record.get('step'), int):
                records.append(record)
    return records


def rewind_json_lines(path, step):
    """Drops the records after a step, which a resumed run is about to write again.

    Args:
        path: The file; nothing happens if there is none.
        step: Records whose `step` is above this are dropped, and so are damaged lines.
    """
    if os.path.exists(path):
        kept = [record for record in read_json_lines(path) if record['step'] <= step]
        write_whole(path, ''.join(json.dumps(record) + '\n' for record in kept))
