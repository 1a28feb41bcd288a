"""Functions that share the arg scope of a function of slim."""

import functools

import tf_slim as slim


def arg_scope_twin_of(slim_function):
    """Decorates a function so that it takes its defaults from the arg scope of a function of slim.

    Args:
      slim_function: A function that `slim.arg_scope` accepts. The decorated one must have the same arguments.

    Returns:
      A decorator; `slim.arg_scope` accepts what it returns, as another name of `slim_function`.
    """
    key = slim.arg_scope_func_key(slim_function)

    def decorate(function):
        @functools.wraps(function)
        def with_arg_scope(*args, **kwargs):
            scoped = slim.current_arg_scope().get(key)
            return function(*args, **(dict(scoped, **kwargs) if scoped else kwargs))

        with_arg_scope._key_op = key
        return with_arg_scope

    return decorate
