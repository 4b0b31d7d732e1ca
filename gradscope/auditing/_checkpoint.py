"""A checkpoint beside which a model is audited."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from gradscope.errors import GradscopeError

#: keys under which training programs keep a model's weights
_WITHIN = ("state_dict", "model", "model_state_dict", "module")
#: what wrappers put before every name
_PREFIXES = ("module.", "_orig_mod.", "model.")


def weights_of(source: str | Path | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a file, or of a state dict, by name.

    Raises:
        GradscopeError: if there is no such file, or it holds something else.
    """
    if isinstance(source, Mapping):
        return _named(source, "the state dict")
    path = Path(source)
    if not path.is_file():
        raise GradscopeError(f"{path}: there is no such file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GradscopeError(
            f"{path}: is no checkpoint of weights (.safetensors, or .pt that torch.load reads with "
            f"weights_only=True): {first}"
        ) from None
    return _named(content, str(path))


def _named(content: object, where: str) -> dict[str, Tensor]:
    for key in _WITHIN:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    tensors = {
        str(name): value
        for name, value in (content.items() if isinstance(content, Mapping) else ())
        if isinstance(value, Tensor)
    }
    if not tensors:
        raise GradscopeError(f"{where}: holds no weights by name")
    return tensors


def loaded(model: nn.Module, weights: Mapping[str, Tensor]) -> tuple[nn.Module, list[str]]:
    """A model with these weights, and what the reader should know of them.

    Raises:
        GradscopeError: if no name or a shape does not fit.
    """
    own = model.state_dict()
    fitting = _fitting(own, weights)
    if not fitting:
        raise GradscopeError(
            f"no weight of the checkpoint has a name of {type(model).__name__}; it has "
            f"{', '.join(list(weights)[:3])} ..., the model {', '.join(list(own)[:3])} ..."
        )
    wrong = [name for name, value in fitting.items() if value.shape != own[name].shape]
    if wrong:
        raise GradscopeError(
            f"{wrong[0]} is {tuple(fitting[wrong[0]].shape)} in the checkpoint and "
            f"{tuple(own[wrong[0]].shape)} in the model"
        )
    missing = [name for name in own if name not in fitting]
    model.load_state_dict(fitting, strict=False)
    few = f"{', '.join(missing[:3])}{' ...' if len(missing) > 3 else ''}"
    notes = [f"{len(missing)} weights are not in the checkpoint ({few})"] if missing else []
    return model, notes


def _fitting(own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the model's names, whatever a wrapper put before them."""
    best: dict[str, Tensor] = {}
    for prefix in ("", *_PREFIXES):
        cut = {name.removeprefix(prefix): value for name, value in weights.items()}
        added = {f"{prefix}{name}": value for name, value in weights.items()}
        for candidate in (cut, added):
            known = {name: value for name, value in candidate.items() if name in own}
            best = known if len(known) > len(best) else best
    return best
