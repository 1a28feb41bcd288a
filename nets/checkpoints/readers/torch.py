"""Reads files of torch; nothing but tensors and plain containers is ever unpickled."""

import collections
import struct
import zipfile
import zlib

from nets.checkpoints.readers import base

_KIND = 'torch'
# Where training scripts keep the weights, and their moving averages, in the order in which they are looked for.
_WEIGHTS = ('state_dict', 'model', 'model_state_dict', 'net', 'weights', 'module')
_AVERAGES = ('state_dict_ema', 'model_ema', 'ema_state_dict', 'ema', 'model_state_dict_ema')
_STEPS = ('global_step', 'step', 'iteration')
_PREFIXES = ('module.', '_orig_mod.')  # of data-parallel and of compiled modules
_ZIP_ERRORS = (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, OverflowError, RuntimeError,
               struct.error, zlib.error)


class _Torch(base.Weights):
    """See `open_torch`."""

    def __init__(self, path, tensors, **kwargs):
        super().__init__(_KIND, path, [path], ((name, (tuple(tensor.shape), _type_name(tensor)))
                                               for name, tensor in tensors.items()), **kwargs)
        self._tensors = tensors

    def _read(self, name):
        import torch
        tensor = self._tensors[name].detach()
        if tensor.dtype == torch.bfloat16:  # which NumPy does not have
            tensor = tensor.float()
        return tensor.resolve_conj().resolve_neg().contiguous().numpy().copy()

    def close(self):
        self._tensors = {}


def open_torch(path, ema=False):
    """Opens a state dict, or a training script's file with one or more of them in it.

    Args:
        path: The file.
        ema: Whether to take the moving averages where the file has both them and the weights.

    Returns:
        A `base.Weights`; its names have lost the prefixes `module.` and `_orig_mod.`. Values of the type bfloat16 are
        float32.

    Raises:
        ValueError: The file is damaged or incomplete, holds no tensors, needs code to be run, or has no averages.
        ImportError: torch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise base.missing_package(path, 'torch', 'torch', 'torch') from None
    is_zip = zipfile.is_zipfile(path)
    if is_zip:
        _check_sums(path)  # torch does not
    try:
        loaded = torch.load(path, map_location='cpu', weights_only=True, **({'mmap': True} if is_zip else {}))
    except Exception as error:  # torch raises what its parts raise
        if 'weights_only' in str(error) or 'Weights only' in str(error):
            raise ValueError(f'{path} holds Python objects beside tensors, and loading those could run any code. '
                             "Save its state dict alone, where you trust it: torch.save(model.state_dict(), path)"
                             ) from error
        raise base.damaged(path, _KIND, error) from error
    return _Torch(path, **_chosen(path, loaded, ema))


def _check_sums(path):
    """Compares every record of the archive with its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except _ZIP_ERRORS as error:
        raise base.damaged(path, _KIND, error) from error
    if bad:
        raise base.damaged(path, _KIND, f'the checksum of {bad} does not match')


def _chosen(path, loaded, ema):
    """The arguments of `_Torch`: the tensors that are wanted, by name, and what else the file says."""
    if not isinstance(loaded, collections.abc.Mapping):
        raise ValueError(f'{path} holds a {type(loaded).__name__}, not a state dict; save model.state_dict() instead.')
    held = {key: tensors for key, tensors in ((key, _tensors(loaded.get(key))) for key in _WEIGHTS + _AVERAGES)
            if tensors}
    averages = [key for key in _AVERAGES if key in held]
    weights = [key for key in _WEIGHTS if key in held]
    if ema and not averages:
        raise ValueError(f'{path} holds no moving averages; leave the choice of them (ema) out. Averages would be '
                         f'under one of {", ".join(_AVERAGES)}.')
    if ema:
        tensors = held[averages[0]]
    elif weights:
        tensors = held[weights[0]]
    elif averages:
        raise ValueError(f'{path} holds moving averages ({averages[0]}) and no weights; ask for them (ema).')
    else:
        tensors = _tensors(loaded)
    if not tensors:
        raise ValueError(f'{path} holds no tensors, but {", ".join(map(str, list(loaded)[:5])) or "nothing"}.')
    step = next((loaded[key] for key in _STEPS if type(loaded.get(key)) is int), None)
    return {'tensors': _stripped(path, tensors), 'step': step, 'has_averages': bool(averages),
            'has_optimizer': any(str(key).startswith('optimizer') for key in loaded)}


def _tensors(value):
    """The tensors of a dict by name, in their order; of nested ones only a `state_dict`."""
    import torch
    if not isinstance(value, collections.abc.Mapping):
        return {}
    nested = value.get('state_dict')
    if isinstance(nested, collections.abc.Mapping):
        return _tensors(nested)
    return collections.OrderedDict((key, tensor) for key, tensor in value.items()
                                   if isinstance(key, str) and isinstance(tensor, torch.Tensor))


def _stripped(path, tensors):
    """Tensors without the prefixes that wrappers of modules put before all names."""
    for _ in _PREFIXES * 2:
        for prefix in _PREFIXES:
            # A counter beside the module, as that of timm's and torch's averages, may have no prefix.
            inside = [name for name in tensors if name.startswith(prefix)]
            if inside and all(name.startswith(prefix) or not tensors[name].ndim for name in tensors):
                tensors = collections.OrderedDict((name[len(prefix):], tensors[name]) for name in inside)
    kinds = [name for name, tensor in tensors.items() if tensor.is_sparse or tensor.is_quantized or tensor.is_meta]
    if kinds:
        raise ValueError(f'{path} holds tensors that are sparse, quantised or without values: {", ".join(kinds[:5])}. '
                         'Save plain ones.')
    return tensors


def _type_name(tensor):
    name = str(tensor.dtype).rsplit('.', 1)[-1]
    return 'float32' if name == 'bfloat16' else name
