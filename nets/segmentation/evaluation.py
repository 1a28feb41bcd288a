"""Evaluation of a segmentation: every image once, at its own size, and a report of what the network gets wrong."""

import collections
import datetime
import json
import logging
import math
import os
import sys

import numpy as np
import tensorflow.compat.v1 as tf
from tqdm import tqdm

from nets.checkpoints import restore
from nets.data.segmentation import datasets, pipeline
from nets.segmentation import metrics, report, worst
from nets.segmentation.segmenter import Segmenter
from nets.training import files, inputs, op_errors, summaries, terminal

logger = logging.getLogger(__name__)

_LOG_EVERY_N_IMAGES = 50
_DETAILS_ONLY = ('per_class_iou', 'per_class_accuracy', 'per_class_boundary_f', 'confusion_matrix', 'class_names',
                 'skipped')

# summary: dict, one line of JSON. details: dict, the summary and the numbers of each class.
EvalResult = collections.namedtuple('EvalResult', ('summary', 'details'))


def evaluate(config):
    """Evaluates a checkpoint and writes `eval.json`, `report.html` and TensorBoard summaries to `eval_dir`.

    For the name of the report see `nets.training.files.eval_report_path`.

    Args:
        config: A `nets.segmentation.config.EvalConfig`.

    Returns:
        An `EvalResult`. The summary has `mean_iou`, `pixel_accuracy`, `mean_accuracy`, `frequency_weighted_iou`,
        `boundary_f` (see `metrics.Metrics`), `loss` (mean cross entropy per pixel in nats; None with tiles),
        `num_images`, `num_skipped`, `num_classes`, names and paths; the details also have the numbers of each class, in
        the order of `class_names`, `confusion_matrix` (pixels; rows: labels) and `skipped` (names of images).

    Raises:
        ValueError: The configuration cannot work, an image or a label is corrupt (without `skip_corrupt`), or the data
            set has other classes than the network.
    """
    path = restore.find_checkpoint(config.inference.checkpoint_path)
    eval_dir = files.writable_dir(config.eval_dir or os.path.join(os.path.dirname(path), 'eval'), 'eval_dir')
    data = config.data
    dataset = datasets.get_dataset(data.dataset_name, data.dataset_split_name, data.dataset_dir, data.file_pattern,
                                   data.num_classes, data.ignore_label)
    with Segmenter(config.inference) as segmenter:
        _check_classes(dataset, segmenter)
        logger.info('Evaluating %s on %s/%s: %d images, %d classes.', path, dataset.name, dataset.split_name,
                    dataset.num_examples, dataset.num_classes)
        counted, skipped = _Counted(dataset), []
        for example in _examples(config, dataset, skipped):
            counted.add(segmenter, example)
        model = segmenter.model
    _check_count(config, dataset, counted.metrics.num_images, skipped)
    details = _details(config, eval_dir, path, model, dataset, counted, skipped)
    _write(eval_dir, details, counted.worst.cards(model))
    return EvalResult({key: details[key] for key in details if key not in _DETAILS_ONLY}, details)


def _check_classes(dataset, segmenter):
    if dataset.num_classes != len(segmenter.model.class_names):
        raise ValueError(f'{segmenter.checkpoint} tells {len(segmenter.model.class_names)} classes apart '
                         f'({", ".join(segmenter.model.class_names[:5])}, …), and the data set {dataset.name!r} has '
                         f'{dataset.num_classes} ({", ".join(dataset.class_names[:5])}, …). Check --dataset_name, '
                         '--dataset_dir and --num_classes.')


class _Counted:
    """What is counted, image by image."""

    def __init__(self, dataset):
        self.metrics = metrics.Metrics(dataset.num_classes, dataset.ignore_label)
        self.worst = worst.Worst()
        self._dataset = dataset
        self._loss, self._pixels = 0.0, 0

    def add(self, segmenter, example):
        """Runs on one image, and counts it."""
        image, label = example['image'], example['label']
        if segmenter.by_tiles:
            predicted, self._loss = segmenter.classes(image), math.nan
        else:
            probabilities = segmenter.probabilities(image)
            predicted = probabilities.argmax(2)
            counted = label != self._dataset.ignore_label
            own = probabilities[counted, label[counted]].astype(np.float64)
            self._loss -= np.log(np.maximum(own, np.finfo(np.float32).tiny)).sum()
            self._pixels += counted.sum()
        iou, _ = self.metrics.add(label, predicted, example['name'])
        self.worst.add(iou, example['name'], image, label, predicted)

    def loss(self):
        """Mean cross entropy; None where there were no probabilities."""
        return float(self._loss / self._pixels) if self._pixels else None


def _examples(config, dataset, skipped):
    """Yields dicts of arrays, one image after the other."""
    total = min(dataset.num_examples, config.max_num_images or dataset.num_examples)
    interactive = sys.stderr.isatty()
    with tf.Graph().as_default(), tf.device('/cpu:0'):
        batch, initialize = inputs.timed(pipeline.batches(
            dataset, lambda image, label, *_, seed=None: (image, label), None, None, 1,
            num_parallel_calls=config.data.num_preprocessing_threads,
            skip_corrupt=skipped if config.data.skip_corrupt else None))
        wanted = {key: batch[key][0] for key in ('image', 'label', 'name')}
        with (tf.Session(config=inputs.session_config(clone_on_cpu=True)) as session,
              tqdm(total=total, desc='evaluating', ncols=terminal.bar_width(), disable=not interactive) as bar):
            session.run(initialize)
            for done in range(total):
                try:
                    example = session.run(wanted)
                except tf.errors.OutOfRangeError:
                    return
                except tf.errors.OpError as error:
                    raise ValueError(op_errors.describe(error)) from error
                yield example
                bar.update(1)
                if not interactive and (done + 1) % _LOG_EVERY_N_IMAGES == 0:
                    logger.info('image %d/%d', done + 1, total)


def _check_count(config, dataset, count, skipped):
    """Raises a ValueError unless every image came up once."""
    if config.max_num_images is None and count + len(skipped) != dataset.num_examples:
        raise ValueError(f'{count} images were evaluated and {len(skipped)} skipped, and the data set says that it has '
                         f'{dataset.num_examples}: files changed meanwhile.')
    if not count:
        raise ValueError('No image was left to evaluate.')


def _details(config, eval_dir, path, model, dataset, counted, skipped):
    """All results, as JSON can hold them."""
    found = counted.metrics.summary()
    if found['mean_iou'] is None:
        raise ValueError(f'All pixels of the labels are {dataset.ignore_label}, the ignore label: there is nothing to '
                         'evaluate.')
    return {
        **found, 'loss': counted.loss(), 'num_skipped': len(skipped), 'num_classes': dataset.num_classes,
        'dataset_name': dataset.name, 'dataset_split_name': dataset.split_name, 'network': model.network,
        'head': model.head, 'scales': list(config.inference.scales), 'flip': config.inference.flip,
        'checkpoint_path': path, 'global_step': restore.read_step(path),
        'evaluated_at': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
        'eval_json': os.path.join(eval_dir, 'eval.json'), 'report': files.eval_report_path(eval_dir),
        'class_names': list(dataset.class_names), 'confusion_matrix': counted.metrics.confusion.tolist(),
        'skipped': sorted(skipped)}


def _write(eval_dir, details, cards):
    """Writes the files; each appears whole or not at all."""
    files.write_whole(details['eval_json'], json.dumps(details) + '\n')
    history = files.read_json_lines(os.path.join(os.path.dirname(details['checkpoint_path']), files.METRICS_NAME))
    files.write_whole(details['report'], report.page(details, history, cards))
    with tf.Graph().as_default():
        writer = tf.summary.FileWriter(eval_dir)
        writer.add_summary(summaries.scalars({f'eval/{key}': details[key] for key in (
            'mean_iou', 'pixel_accuracy', 'boundary_f', 'loss') if details[key] is not None}),
            details['global_step'] or 0)
        writer.close()
