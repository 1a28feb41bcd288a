"""The page that shows an evaluation: one HTML file that needs nothing else."""

from nets.training import report_confusion, report_parts
from nets.training.report_parts import escape, percent, section

_MOST_BARS = 60


def page(details, metrics, mistakes, pictures):
    """Makes the page.

    Args:
        details: What `evaluation.evaluate` found; see there.
        metrics: Records of the training run's `metrics.jsonl`; empty if there are none.
        mistakes: List of `tally.Mistake`, the most confident first.
        pictures: List of bytes, a PNG file for each mistake.

    Returns:
        The text of the HTML file; names of classes and images are escaped.
    """
    name = f'{details["model_name"]} on {details["dataset_name"]}/{details["dataset_split_name"]}'
    return report_parts.page(name, [
        _head(details, name), _tiles(details), section('Training', report_parts.training_curves(metrics)),
        _classes(details), report_confusion.confusion(details), _mistakes(details, mistakes, pictures),
        report_confusion.skipped(details)])


def _head(details, title):
    step = '' if details['global_step'] is None else f' · step {details["global_step"]:,}'
    return report_parts.head(title, f'{details["checkpoint_path"]}{step} · {details["evaluated_at"]}')


def _tiles(details):
    """The numbers that matter most."""
    skipped = f', {details["num_skipped"]:,} skipped' if details['num_skipped'] else ''
    top_k = min(5, details['num_classes'])
    wrong = round((1 - details['top_1']) * details['num_examples'])
    return report_parts.tiles([
        (percent(details['top_1']), 'top-1 accuracy'), (percent(details['top_5']), f'top-{top_k} accuracy'),
        (f'{details["loss"]:.4f}', 'loss (cross entropy, nats)'),
        (f'{details["num_examples"]:,}', f'images{skipped}'), (f'{wrong:,}', 'mistakes')])


def _classes(details):
    """A bar for the accuracy of each class, the worst first."""
    totals = [sum(row) for row in details['confusion_matrix']]
    rows = sorted((accuracy, name, total) for accuracy, name, total in
                  zip(details['per_class_accuracy'], details['class_names'], totals, strict=True) if total)
    bars = ''.join(
        f'<div class="name" title="{escape(name)}">{escape(name)}</div>'
        f'<div class="bar"><i style="width:{accuracy * 100:.2f}%"></i></div>'
        f'<div class="number">{percent(accuracy)}</div><div class="number note">{total:,}</div>'
        for accuracy, name, total in rows[:_MOST_BARS])
    note = f'The {_MOST_BARS} worst of {len(rows)} classes.' if len(rows) > _MOST_BARS else 'The worst first.'
    return section('Accuracy of each class', f'<div class="bars">{bars}</div>', note)


def _mistakes(details, mistakes, pictures):
    """The images that the network was most sure of and wrong about."""
    names = details['class_names']
    cards = ''.join(
        f'<figure class="card"><img alt="" src="{report_confusion.data_url(picture)}">'
        f'<figcaption><span class="true">{escape(names[one.label])}</span> taken for '
        f'<span class="false">{escape(names[one.predicted])}</span><br>{percent(one.confidence)} sure'
        f'<br><small title="{escape(one.name)}">{escape(_short(one.name))}</small></figcaption></figure>'
        for one, picture in zip(mistakes, pictures, strict=True))
    return section('Worst mistakes', f'<div class="cards">{cards}</div>' if cards else '<p>None at all.</p>',
                   'The most confident first.' if cards else '')


def _short(name):
    """The last two parts of a path; bytes are read as UTF-8."""
    text = name.decode('utf-8', 'replace') if isinstance(name, bytes) else name
    return '/'.join(text.split('/')[-2:])
