"""Makes tf-slim 1.1 work on TensorFlow 2.16 and later; importing this package is all it takes.

tf-slim's last release speaks to places of TensorFlow that have since moved or gone: `slim.batch_norm` raises for
every argument, gradient clipping and several decoders do too. This package gives tf-slim's modules what they
look for, without tf_keras and without touching TensorFlow's own modules. Where TensorFlow still has everything
(1.15) it changes nothing. It is the only part of `nets` that knows private names of TensorFlow or tf-slim.
"""

from nets.slim_compat.arg_scopes import arg_scope_twin_of
from nets.slim_compat.batch_norm import BatchNormalization, add_weight, variable_parts
from nets.slim_compat.repair import apply, repair_module
from nets.slim_compat.rewiring import set_input

__all__ = ['BatchNormalization', 'add_weight', 'apply', 'arg_scope_twin_of', 'repair_module', 'set_input',
           'variable_parts']

apply()
