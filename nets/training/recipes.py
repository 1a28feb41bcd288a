"""Groups of settings that belong together, by name. TensorFlow is not imported here."""

import collections

# source: where the values are from. values: dict from a field of `TrainConfig`, dotted, to its value, or to a function
# of the batch size.
Recipe = collections.namedtuple('Recipe', ('source', 'values'))

RECIPES = {
    'slim': Recipe(
        'the defaults of train_image_classifier.py of slim',
        {'data.batch_size': 32, 'optimizer.optimizer': 'rmsprop', 'optimizer.rmsprop_decay': 0.9,
         'optimizer.rmsprop_momentum': 0.9, 'optimizer.opt_epsilon': 1.0, 'weight_decay': 0.00004,
         'label_smoothing': 0.0, 'schedule.learning_rate_decay_type': 'exponential', 'schedule.learning_rate': 0.01,
         'schedule.learning_rate_decay_factor': 0.94, 'schedule.num_epochs_per_decay': 2.0}),
    # There the rate starts at 0.1 and not at 0, batches of up to 256 have no warm-up; no label smoothing.
    'resnet50_90': Recipe(
        'Goyal et al., "Accurate, Large Minibatch SGD", 2017 (arXiv:1706.02677), sections 2.1, 2.2 and 5.1',
        {'data.batch_size': 256, 'max_number_of_epochs': 90.0, 'optimizer.optimizer': 'nesterov',
         'optimizer.momentum': 0.9, 'weight_decay': 0.0001, 'batch_norm_decay': 0.9, 'zero_last_gamma': True,
         'schedule.learning_rate_decay_type': 'piecewise', 'schedule.learning_rate_boundaries': (30.0, 60.0, 80.0),
         'schedule.learning_rate_decay_factor': 0.1, 'schedule.warmup_epochs': 5.0,
         'schedule.learning_rate': lambda batch_size: 0.1 * batch_size / 256}),
    # Rate and decay are ours, out of the grid that was searched there; so are the epochs and the batch (20,000 steps of
    # 256 there). The decay of batch norm there is max(1 - 10 / s, 0.9), with s steps in an epoch.
    'finetune': Recipe(
        'Kornblith et al., "Do Better ImageNet Models Transfer Better?", 2019 (arXiv:1805.08974), as repeated by '
        'Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020 '
        '(arXiv:2002.05709), appendix B.8',
        {'data.batch_size': 32, 'max_number_of_epochs': 30.0, 'optimizer.optimizer': 'nesterov',
         'optimizer.momentum': 0.9, 'weight_decay': 0.00001, 'batch_norm_decay': 0.9,
         'schedule.learning_rate_decay_type': 'cosine', 'schedule.end_learning_rate': 0.0,
         'schedule.warmup_epochs': 1.0, 'schedule.learning_rate': lambda batch_size: 0.01 * batch_size / 256}),
}
# A field that stands in for another one: who gives it does not want the other one's value.
_INSTEAD_OF = {'max_number_of_epochs': 'max_number_of_steps'}


def settings(name, batch_size, given=(), recipes=None):
    """What a recipe sets.

    Args:
        name: A key of `recipes`.
        batch_size: Images per step if that is given; None for the recipe's.
        given: Fields of the configuration, dotted, that keep their values.
        recipes: The recipes; None for `RECIPES`, those of classifiers.

    Returns:
        Dict from field to value.

    Raises:
        ValueError: There is no such recipe.
    """
    recipes = RECIPES if recipes is None else recipes
    if name not in recipes:
        raise ValueError(f'recipe must be one of {", ".join(recipes)}; got {name!r}.')
    values = recipes[name].values
    batch_size = batch_size or values['data.batch_size']
    return {field: value(batch_size) if callable(value) else value for field, value in values.items()
            if field not in given and _INSTEAD_OF.get(field) not in given}
