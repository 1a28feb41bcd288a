"""Training a part of a network: what is trained, and which batch norms stand still."""

import tensorflow.compat.v1 as tf

from nets.checkpoints import restore


def training_mode(trainable_scopes):
    """What to build a network with, as `is_training`.

    A batch norm none of whose variables is trained normalises with its moving statistics and does not move
    them: the frozen part computes in training what it will compute in use. slim's script left both as in
    training, so that a "frozen" network changed with the images it saw.

    Args:
        trainable_scopes: Full scope names; empty to train everything.

    Returns:
        True; or a function that a batch norm asks within its own variable scope.
    """
    scopes = clean_scopes(trainable_scopes)
    return (lambda: trains(tf.get_variable_scope().name, scopes)) if scopes else True


def trains(name, scopes):
    """Whether a batch norm is in training.

    Args:
        name: Full name of its variable scope.
        scopes: Full scope names, as of `clean_scopes`.

    Returns:
        True if the scope lies in one of `scopes`, or one of those in it.
    """
    return any(restore.in_scope(name, scope) or restore.in_scope(scope, name) for scope in scopes)


def trainable_variables(variables, trainable_scopes):
    """Chooses the variables to train.

    Args:
        variables: List of variables.
        trainable_scopes: Full scope names; empty for all variables.

    Returns:
        List of variables.

    Raises:
        ValueError: A scope matches none of them.
    """
    scopes = clean_scopes(trainable_scopes)
    if not scopes:
        return list(variables)
    named = {variable.op.name: variable for variable in variables}
    _, inside = restore.split_by_scopes(named, scopes, 'trainable_scopes')
    return list(inside.values())


def clean_scopes(scopes):
    """Scope names without blanks and slashes around them, and without empty ones."""
    return tuple(scope.strip().strip('/') for scope in scopes if scope.strip().strip('/'))
