"""What an evaluation counts, in NumPy: accuracies, loss, confusion matrix and the worst mistakes."""

import collections
import heapq

import numpy as np

Mistake = collections.namedtuple('Mistake', ('confidence', 'name', 'label', 'predicted', 'encoded'))


class Tally:
    """Sums over batches.

    Attributes:
        count: Examples so far.
        confusion: int64 `[classes, classes]`: examples by true class (row) and predicted class (column).
        mistakes: List of `Mistake`, the most confident first.
        top_k: The k of `top_k_accuracy`: 5, or the number of classes if that is less.
    """

    def __init__(self, num_classes, top_k=5, kept_mistakes=24):
        """Starts at zero.

        Args:
            num_classes: Number of classes.
            top_k: See the attribute.
            kept_mistakes: How many mistakes to keep.
        """
        self.count = 0
        self.confusion = np.zeros((num_classes, num_classes), np.int64)
        self.mistakes = []
        self.top_k = min(top_k, num_classes)
        self._kept_mistakes = kept_mistakes
        self._in_top_k = 0
        self._loss_sum = 0.0

    def add(self, logits, labels, names, encoded):
        """Adds a batch of examples, without any padding.

        Args:
            logits: float `[batch, classes]`.
            labels: int `[batch]`.
            names: Sequence of bytes, what the images are called.
            encoded: Sequence of bytes, the images as files.

        Raises:
            ValueError: A label is no class, or a logit is not finite.
        """
        logits, labels = np.asarray(logits, np.float64), np.asarray(labels, np.int64)
        self._check(logits, labels, names)
        log_odds = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
        log_probabilities = log_odds - np.log(np.exp(log_odds).sum(axis=1, keepdims=True))
        rows = np.arange(len(labels))
        # Of equal logits the first counts as the higher one, for the prediction and for the rank alike.
        own = logits[rows, labels][:, None]
        columns = np.arange(logits.shape[1])[None, :]
        rank = ((logits > own) | ((logits == own) & (columns < labels[:, None]))).sum(axis=1)
        predicted = logits.argmax(axis=1)

        self.count += len(labels)
        self._loss_sum -= log_probabilities[rows, labels].sum()
        self._in_top_k += int((rank < self.top_k).sum())
        np.add.at(self.confusion, (labels, predicted), 1)
        wrong = [Mistake(float(np.exp(log_probabilities[row, predicted[row]])), names[row], int(labels[row]),
                         int(predicted[row]), encoded[row]) for row in np.flatnonzero(predicted != labels)]
        self.mistakes = heapq.nlargest(self._kept_mistakes, self.mistakes + wrong, key=lambda one:
        one.confidence)

    def top_1_accuracy(self):
        """Share of the examples whose highest logit is the label's, in [0, 1]."""
        return self._share(int(np.trace(self.confusion)))

    def top_k_accuracy(self):
        """Share of the examples whose label is among the `top_k` highest logits, in [0, 1]."""
        return self._share(self._in_top_k)

    def loss(self):
        """Mean cross entropy in nats, without label smoothing and regularization."""
        return self._share(self._loss_sum)

    def per_class_accuracy(self):
        """List of a float in [0, 1] for each class, None for a class without examples."""
        totals = self.confusion.sum(axis=1)
        return [float(right / total) if total else None
                for right, total in zip(np.diagonal(self.confusion), totals, strict=True)]

    def _share(self, amount):
        return float(amount / self.count) if self.count else float('nan')

    def _check(self, logits, labels, names):
        """Raises a ValueError for labels out of range and for logits that are not finite."""
        classes = self.confusion.shape[0]
        bad = np.flatnonzero((labels < 0) | (labels >= classes))
        if bad.size:
            raise ValueError(f'The label of {_text(names[bad[0]])} is {labels[bad[0]]}, and the network has '
                             f'{classes} classes. Check the data set and --labels_offset.')
        bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
        if bad.size:
            raise ValueError(f'The logits of {_text(names[bad[0]])} are not finite: the checkpoint is of a '
                             'diverged run, or the preprocessing is not that of the training.')


def _text(name):
    """A name as text."""
    return name.decode('utf-8', 'replace') if isinstance(name, bytes) else str(name)
