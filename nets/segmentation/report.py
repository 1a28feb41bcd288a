"""The page that shows the evaluation of a segmentation: one HTML file that needs nothing else."""

from nets.training import report_confusion, report_parts
from nets.training.report_parts import escape, percent, section

_MOST_CLASSES = 200


def page(details, metrics, cards):
    """Makes the page.

    Args:
        details: What `evaluation.evaluate` found; see there.
        metrics: Records of the training run's `metrics.jsonl`; empty if there are none.
        cards: The worst images, as `worst.Worst.cards` gives them.

    Returns:
        The text of the HTML file; names of classes and images are escaped.
    """
    title = (f'{details["head"]} on {details["network"]}, {details["dataset_name"]}/'
             f'{details["dataset_split_name"]}')
    step = '' if details['global_step'] is None else f' · step {details["global_step"]:,}'
    return report_parts.page(title, [
        report_parts.head(title, f'{details["checkpoint_path"]}{step} · {details["evaluated_at"]}'), _tiles(details),
        section('Training', report_parts.training_curves(metrics)), _classes(details),
        report_confusion.confusion(details, ' In pixels.'), _worst(cards), report_confusion.skipped(details)])


def _tiles(details):
    """The numbers that matter most."""
    skipped = f', {details["num_skipped"]:,} skipped' if details['num_skipped'] else ''
    rows = [(percent(details[key]), name) for key, name in (
        ('mean_iou', 'mean IoU'), ('pixel_accuracy', 'of the pixels right'), ('boundary_f', 'boundary F-score'),
        ('mean_accuracy', 'mean accuracy of the classes'))]
    if details['loss'] is not None:
        rows.append((f'{details["loss"]:.4f}', 'loss (cross entropy, nats)'))
    return report_parts.tiles([*rows, (f'{details["num_images"]:,}', f'images{skipped}')])


def _classes(details):
    """A table of the classes, the worst first."""
    totals = [sum(row) for row in details['confusion_matrix']]
    everything = max(sum(totals), 1)
    rows = sorted((row for row in zip(
        details['per_class_iou'], details['class_names'], details['per_class_accuracy'],
        details['per_class_boundary_f'], totals, strict=True) if row[0] is not None), key=lambda row: row[0])
    body = ''.join(
        f'<tr><td>{escape(name)}</td><td>{percent(iou)}</td>'
        f'<td><div class="bar"><i style="width:{iou * 100:.2f}%"></i></div></td><td>{percent(accuracy)}</td>'
        f'<td>{percent(boundary)}</td><td>{percent(total / everything)}</td></tr>'
        for iou, name, accuracy, boundary, total in rows[:_MOST_CLASSES])
    head = ''.join(f'<th scope="col">{name}</th>' for name in (
        'class', 'IoU', '', 'pixels found', 'boundary F', 'of all pixels'))
    note = f'The {_MOST_CLASSES} worst of {len(rows)}.' if len(rows) > _MOST_CLASSES else 'The worst first.'
    return section('Classes', f'<div class="scroll"><table class="list whole"><tr>{head}</tr>{body}</table></div>',
                   note)


def _worst(cards):
    """The images with the least mean IoU: photograph, label and prediction side by side."""
    body = ''.join(
        f'<figure><div class="row">{"".join(_picture(*one) for one in zip(_PICTURES, pictures, strict=True))}</div>'
        f'<figcaption>{percent(iou)} · <small>{escape(name)}</small></figcaption></figure>'
        for iou, name, *pictures in cards)
    return section('Worst images', f'<div class="figures">{body}</div>',
                   'By the mean IoU of the image alone: photograph, label, prediction.')


_PICTURES = ('photograph', 'label', 'prediction')


def _picture(alt, address):
    return f'<img alt="{alt}" title="{alt}" src="{address}">'
