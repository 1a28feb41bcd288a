"""A run that is asked to stop, in a process of its own, and what it leaves to look at."""

import glob
import json
import os
import signal
import subprocess
import sys
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TINY = os.path.join(TESTS, 'training', 'tiny_network.py')
# Long enough for the slowest machine; nothing is measured by it.
TIMEOUT = 240


def _records(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding='utf-8') as file:
        return [json.loads(line) for line in file if line.endswith('\n')]


def test_sigterm_saves_once_and_leaves_a_report_a_profile_and_its_own_exit_code(tmp_path):
    sys.path.insert(0, os.path.dirname(TINY))
    import tiny_network
    images, run = tiny_network.make_images(tmp_path / 'images'), str(tmp_path / 'run')
    with subprocess.Popen(
            [sys.executable, TINY, 'train', '--model_name=tiny', '--dataset_name=image_folder',
             f'--dataset_dir={images}', f'--train_dir={run}', '--batch_size=4', '--log_every_n_steps=1',
             '--profile_steps=2,3', '--summarize_images=1', '--summarize_histograms'],
            stderr=subprocess.PIPE, text=True, cwd=os.path.dirname(TESTS)) as process:
        deadline = time.monotonic() + TIMEOUT
        while len(_records(os.path.join(run, 'metrics.jsonl'))) < 5:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 128 + signal.SIGTERM, error
    records = _records(os.path.join(run, 'metrics.jsonl'))
    last = records[-1]['step']
    assert [record['step'] for record in records] == list(range(1, last + 1))
    assert all(0 <= record['data_wait'] <= 1 for record in records)
    saved = [int(path.rpartition('-')[2][:-len('.index')]) for path in glob.glob(os.path.join(run, '*.index'))]
    assert sorted(saved) == [0, last]
    assert error.splitlines()[-2:] == [
        f'The report is {run}/report.html.',
        f'Stopped by SIGTERM at step {last}; saved {run}/model.ckpt-{last}. Run the same command to go on.']
    with open(os.path.join(run, 'report.html'), encoding='utf-8') as file:
        page = file.read()
    assert f'model.ckpt-{last}<' in page
    assert '--profile_steps=2,3' in page
    assert len(glob.glob(os.path.join(run, 'plugins', 'profile', '*', '*.trace.json.gz'))) == 1
