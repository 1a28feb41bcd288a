"""How good a segmentation is, over a whole data set and exactly: sums of whole numbers, in NumPy.

What is ignored, by its label, counts in none of the numbers.
"""

import math

import numpy as np

# Of the image's diagonal; G. Csurka, D. Larlus, F. Perronnin, "What is a good evaluation measure for semantic
# segmentation?", BMVC 2013, section 2.2.
BOUNDARY_TOLERANCE = 0.0075


class Metrics:
    """Sums over images.

    A class without any pixel, neither of the labels nor of the predictions, has None for a number and is left out of
    all means. All numbers are None before there is an image that they can be had of.

    Attributes:
        num_images: int.
        confusion: int64 `[classes, classes]`, pixels by label (row) and prediction (column).
    """

    def __init__(self, num_classes, ignore_label=255, boundary_tolerance=BOUNDARY_TOLERANCE):
        """Starts at zero.

        Args:
            num_classes: int.
            ignore_label: int, the label of pixels that count for nothing; it may be a class.
            boundary_tolerance: float, see `boundary_f_scores`; None to do without that score, which takes most of the
                time.
        """
        self.num_images = 0
        self.confusion = np.zeros((num_classes, num_classes), np.int64)
        self._num_classes = num_classes
        self._ignore_label = ignore_label
        self._tolerance = boundary_tolerance
        self._boundary_sums = np.zeros(num_classes)
        self._boundary_counts = np.zeros(num_classes, np.int64)
        self._image_scores = []

    def add(self, labels, predictions, name=''):
        """Adds one image.

        Args:
            labels: int `[height, width]`, classes or the ignore label, without any padding.
            predictions: int `[height, width]`, classes.
            name: str or bytes, for errors.

        Returns:
            `(mean_iou, boundary_f)` of this image alone, floats or None.

        Raises:
            ValueError: If the sizes differ, or a label or prediction is no class.
        """
        labels, predictions = np.asarray(labels), np.asarray(predictions)
        counted = labels != self._ignore_label
        self._check(labels, predictions, counted, name)
        pairs = labels[counted].astype(np.int64) * self._num_classes + predictions[counted]
        confusion = np.bincount(pairs, minlength=self._num_classes ** 2).reshape(self.confusion.shape)
        self.confusion += confusion
        self.num_images += 1
        score = None
        if self._tolerance is not None:
            scores = boundary_f_scores(labels, predictions, self._num_classes, self._ignore_label, self._tolerance)
            known = [number for number, value in enumerate(scores) if value is not None]
            self._boundary_counts[known] += 1
            self._boundary_sums[known] += [scores[number] for number in known]
            score = _mean(scores)
            if score is not None:
                self._image_scores.append(score)
        return _mean(_ious(confusion)), score

    def per_class_iou(self):
        """Intersection over union of each class, in [0, 1]; a list, None for a class that is nowhere."""
        return _ious(self.confusion)

    def mean_iou(self):
        """Mean of `per_class_iou`."""
        return _mean(self.per_class_iou())

    def pixel_accuracy(self):
        """Share of the pixels whose prediction is the label."""
        return _ratio(np.trace(self.confusion), self.confusion.sum())

    def per_class_accuracy(self):
        """Share of each class's pixels that are predicted; a list, None for a class without pixels in the labels."""
        return [_ratio(right, total) for right, total in zip(
            np.diagonal(self.confusion), self.confusion.sum(axis=1), strict=True)]

    def mean_accuracy(self):
        """Mean of `per_class_accuracy`."""
        return _mean(self.per_class_accuracy())

    def frequency_weighted_iou(self):
        """Mean of `per_class_iou`, weighted with the classes' pixels in the labels."""
        total = self.confusion.sum()
        weights = self.confusion.sum(axis=1)
        return float(sum(weight * iou for weight, iou in zip(weights, self.per_class_iou(), strict=True)
                         if iou is not None) / total) if total else None

    def per_class_boundary_f(self):
        """Mean over images of `boundary_f_scores`; a list, None for a class without boundaries."""
        return [_ratio(total, count) for total, count in zip(self._boundary_sums, self._boundary_counts, strict=True)]

    def boundary_f(self):
        """Mean over images of the mean over classes of `boundary_f_scores`; images without boundaries are left out."""
        return math.fsum(self._image_scores) / len(self._image_scores) if self._image_scores else None

    def summary(self):
        """All of the above but for the confusion matrix, by name: a dict that JSON can hold."""
        names = ('mean_iou', 'pixel_accuracy', 'mean_accuracy', 'frequency_weighted_iou', 'boundary_f',
                 'per_class_iou', 'per_class_accuracy', 'per_class_boundary_f')
        return {'num_images': self.num_images, **{name: getattr(self, name)() for name in names}}

    def _check(self, labels, predictions, counted, name):
        name = name.decode('utf-8', 'replace') if isinstance(name, bytes) else name
        of_image = f' of {name!r}' if name else ''
        if labels.ndim != 2 or labels.shape != predictions.shape:
            raise ValueError(f'Labels and predictions{of_image} must have one shape, [height, width]; got '
                             f'{list(labels.shape)} and {list(predictions.shape)}.')
        for kind, values in (('labels', labels), ('predictions', predictions)):
            values = values[counted]
            bad = values[(values < 0) | (values >= self._num_classes)]
            if bad.size:
                raise ValueError(f'The {kind}{of_image} must be from 0 to {self._num_classes - 1}, but where the label '
                                 f'is {self._ignore_label}; got {bad[0]}.')


def boundary_f_scores(labels, predictions, num_classes, ignore_label=255, tolerance=BOUNDARY_TOLERANCE):
    """The boundary F-score of each class in one image.

    Csurka et al., section 2.2: the harmonic mean of precision, the share of the prediction's boundary that is nearer
    to a boundary of the labels than the tolerance, and recall, the reverse. A pixel is on the boundary of its class if
    one of its four neighbours is of another; the edge of the image is no boundary. Ignored pixels are no class, in the
    predictions as well: classes end there in both.

    Args:
        labels, predictions, num_classes, ignore_label: see `Metrics`.
        tolerance: float, the distance (between the centres of pixels) by the image's diagonal.

    Returns:
        A list of a float in [0, 1] for each class; None where neither has a boundary.
    """
    counted = labels != ignore_label
    distance = tolerance * math.hypot(*labels.shape)
    labels, predictions = np.where(counted, labels, -1), np.where(counted, predictions, -1)
    label_edges, predicted_edges = _edges(labels), _edges(predictions)
    present = set(np.unique(labels[label_edges])) | set(np.unique(predictions[predicted_edges]))
    return [_boundary_f(label_edges & (labels == number), predicted_edges & (predictions == number), distance)
            if number in present else None for number in range(num_classes)]


def _boundary_f(true, predicted, distance):
    """The F-score of two boundaries, bool `[height, width]`, of which one at least is not empty."""
    precision = _ratio((predicted & _within(true, distance)).sum(), predicted.sum()) or 0.0
    recall = _ratio((true & _within(predicted, distance)).sum(), true.sum()) or 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _edges(classes):
    """Which pixels have a neighbour of another class; bool `[height, width]`."""
    edges = np.zeros(classes.shape, bool)
    rows, columns = classes[1:] != classes[:-1], classes[:, 1:] != classes[:, :-1]
    edges[1:] |= rows
    edges[:-1] |= rows
    edges[:, 1:] |= columns
    edges[:, :-1] |= columns
    return edges


def _within(mask, distance):
    """Which pixels are nearer than a distance to one of the mask.

    Exact: each column's distances to the nearest in the same column, then all columns that are near enough.
    """
    height, width = mask.shape
    rows = np.arange(height)[:, np.newaxis]
    far = 2 * (height + width) + math.ceil(distance)
    above = np.maximum.accumulate(np.where(mask, rows, -far), axis=0)
    below = np.minimum.accumulate(np.where(mask, rows, far)[::-1], axis=0)[::-1]
    squared = np.minimum(rows - above, below - rows) ** 2
    near = squared < distance ** 2
    for shift in range(1, min(math.ceil(distance), width)):
        reached = squared < distance ** 2 - shift ** 2
        near[:, shift:] |= reached[:, :-shift]
        near[:, :-shift] |= reached[:, shift:]
    return near


def _ious(confusion):
    right = np.diagonal(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - right
    return [_ratio(*pair) for pair in zip(right, union, strict=True)]


def _ratio(part, total):
    return float(part / total) if total else None


def _mean(values):
    """The mean of those that are not None; None if there are none."""
    values = [value for value in values if value is not None]
    return math.fsum(values) / len(values) if values else None
