"""What TensorBoard gets: scalars, and images and histograms of steps that are asked for."""

import tensorflow.compat.v1 as tf


def scalars(values):
    """Makes a TensorBoard summary.

    Args:
        values: Dict from tag to float.

    Returns:
        A `tf.Summary`.
    """
    return tf.Summary(value=[tf.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])


class StepSummaries:
    """What TensorBoard gets of a step besides its metrics.

    What a step computes for it hangs on a condition, so that all steps have one graph, and a step the same numbers
    whether it is asked for or not. (TensorFlow optimizes a graph for what is fetched from it.)

    Attributes:
        fetches: What to run with each step: a serialized `tf.Summary`, empty unless it is asked for; or nothing.
    """

    def __init__(self, config, images, gradients):
        """Adds what the configuration asks for, if anything, to the current graph.

        Args:
            config: A `TrainConfig`.
            images: Those of a step, float `[batch, height, width, channels]`, of 1 or 3 channels.
            gradients: Dict from names of variables to their gradients in the step.
        """
        self.fetches, self._weights = [], []
        parts = []
        if config.summarize_images:
            parts.append(lambda: [_images(images, config.summarize_images)])
        if config.summarize_histograms:
            parts.append(lambda: [_histogram(f'{name}/gradient', one) for name, one in gradients.items()])
            self._weights = [_merged([_histogram(one.op.name, one.read_value()) for one in tf.model_variables()])]
        self._wanted = tf.placeholder(tf.bool, [], name='summarize')
        if parts:
            self.fetches = [tf.cond(self._wanted, lambda: _merged([one for part in parts for one in part()]),
                                    lambda: tf.constant(b''))]

    def feed(self, wanted):
        """What to feed a step with.

        Args:
            wanted: Whether it is asked for, a bool.
        """
        return {self._wanted: wanted}

    def of_step(self, session, fetched):
        """Completes what was fetched with a step that was asked for by the weights after it.

        Args:
            session: The session that the step was taken in.
            fetched: What it gave for `fetches`.

        Returns:
            List of serialized `tf.Summary` protocol buffers.
        """
        return [*fetched, *session.run(self._weights)]


def _merged(summaries):
    return tf.raw_ops.MergeSummary(inputs=summaries)


def _images(images, count):
    """The first images, each from its least value in black to its greatest in full."""
    images = images[:count]
    low = tf.reduce_min(images, [1, 2, 3], keepdims=True)
    high = tf.reduce_max(images, [1, 2, 3], keepdims=True)
    scaled = tf.cast(tf.round(tf.math.divide_no_nan(images - low, high - low) * 255), tf.uint8)
    return tf.raw_ops.ImageSummary(tag='images', tensor=scaled, max_images=count)


def _histogram(tag, values):
    """A histogram of the finite values, as TensorFlow refuses others."""
    return tf.raw_ops.HistogramSummary(tag=tag, values=tf.boolean_mask(values, tf.math.is_finite(values)))
