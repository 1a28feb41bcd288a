"""Training a part of a network: what is trained, and which batch norms stand still."""

import tensorflow.compat.v1 as tf

from nets.checkpoints import restore


class ScopedMode(int):
    """An `is_training` that is true for the batch norms of some scopes and false for the others.

    A batch norm takes an int for `is_training` and asks for its truth within its own variable scope; this one
    answers by the name of that scope.
    """

    def __new__(cls, scopes):
        """Makes a mode.

        Args:
            scopes: Full scope names, as of `clean_scopes`.

        Returns:
            A `ScopedMode`.
        """
        mode = super().__new__(cls, 1)
        mode._scopes = tuple(scopes)
        return mode

    def __bool__(self):
        return self.trains(tf.get_variable_scope().name)

    def trains(self, name):
        """Whether a batch norm is in training.

        Args:
            name: Full name of its variable scope.

        Returns:
            True if the scope lies in one of the mode's scopes, or one of those in it.
        """
        return any(restore.in_scope(name, scope) or restore.in_scope(scope, name) for scope in self._scopes)


def training_mode(trainable_scopes):
    """What to build a network with, as `is_training`.

    A batch norm none of whose variables is trained normalises with its moving statistics and does not move
    them: the frozen part computes in training what it will compute in use. slim's script left both as in
    training, so that a "frozen" network changed with the images it saw.

    Args:
        trainable_scopes: Full scope names; empty to train everything.

    Returns:
        True, or a `ScopedMode`.
    """
    scopes = clean_scopes(trainable_scopes)
    return ScopedMode(scopes) if scopes else True


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
