"""What `nets.training.loop` trains: classification is one problem, segmentation another."""

import collections

# A table of functions. `config` is a `RunConfig` of the kind that the problem wants; `task` is what the first function
# returns, and nobody else looks into it, but for its `dataset.num_examples`.
# make_task: function of the config and of the path of a checkpoint that the weights come from, or None. It raises a
#   ValueError for all that cannot work.
# facts: function of the task: dict of what, besides the config, has to be the same on all workers.
# describe: function of the task: what the network sees and tells, as text.
# write_preset: function of the config and the task that writes what users of the weights have to know to `train_dir`.
# next_batch: function of the task, `config.data`, the number of images, a `nets.data.pipeline.Share`, and
#   `skip_corrupt`, a list or None. It returns a dict of tensors, with the `name` of each image and `wait`, float64, the
#   seconds until the batch was there; and the op that has to run before the first one.
# losses: function of the config, the task, a batch, and its number within the run. It builds the network, and returns
#   `nets.training.losses.Losses` and the images as the network sees them, float32 `[batch, height, width, channels]`.
# excluded_scopes: function of the config and the task, called in the graph: scopes of variables that are not restored
#   from `config.fine_tune.checkpoint_path`.
# evaluate: function of the config and the prefix of a checkpoint: a dict with `loss` and all of `config.scores`, on
#   `config.eval_split_name`.
Problem = collections.namedtuple('Problem', (
    'make_task', 'facts', 'describe', 'write_preset', 'next_batch', 'losses', 'excluded_scopes', 'evaluate'))
