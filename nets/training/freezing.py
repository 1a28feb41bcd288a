"""Training a part of a network: what is trained, and which batch norms stand still."""

import tensorflow.compat.v1 as tf

from nets.checkpoints import restore


def training_mode(trainable_scopes, frozen_scopes=()):
    """What to build a network with, as `is_training`.

    A batch norm none of whose variables is trained normalises with its moving statistics and does not move
    them: the frozen part computes in training what it will compute in use. slim's script left both as in
    training, so that a "frozen" network changed with the images it saw.

    Args:
        trainable_scopes: Full scope names; empty to train everything.
        frozen_scopes: Full scope names that are not trained.

    Returns:
        True; or a function that a batch norm asks within its own variable scope.
    """
    scopes, frozen = clean_scopes(trainable_scopes), clean_scopes(frozen_scopes)
    return (lambda: trains(tf.get_variable_scope().name, scopes, frozen)) if scopes or frozen else True


def trains(name, scopes, frozen=()):
    """Whether a batch norm is in training.

    Args:
        name: Full name of its variable scope.
        scopes: Full scope names, as of `clean_scopes`; empty for all.
        frozen: Likewise, those that are not trained; empty for none.

    Returns:
        True if the scope lies in one of `scopes`, or one of those in it, and it does not lie in one of `frozen`.
    """
    inside = any(restore.in_scope(name, scope) or restore.in_scope(scope, name) for scope in scopes)
    return (inside or not scopes) and not any(restore.in_scope(name, scope) for scope in frozen)


def trainable_variables(variables, trainable_scopes, frozen_scopes=()):
    """Chooses the variables to train.

    Args:
        variables: List of variables.
        trainable_scopes: Full scope names; empty for all variables.
        frozen_scopes: Full scope names that are not trained.

    Returns:
        List of variables.

    Raises:
        ValueError: A scope matches none of them, or nothing is left to train.
    """
    named = {variable.op.name: variable for variable in variables}
    scopes = clean_scopes(trainable_scopes)
    chosen = restore.split_by_scopes(named, scopes, 'trainable_scopes')[1] if scopes else named
    _, frozen = restore.split_by_scopes(named, clean_scopes(frozen_scopes), 'freeze')
    left = [variable for name, variable in chosen.items() if name not in frozen]
    if not left:
        raise ValueError(f'--trainable_scopes={",".join(scopes)} and --freeze={",".join(frozen_scopes)} leave nothing '
                         'to train.')
    return left


def clean_scopes(scopes):
    """Scope names without blanks and slashes around them, and without empty ones."""
    return tuple(scope.strip().strip('/') for scope in scopes if scope.strip().strip('/'))
