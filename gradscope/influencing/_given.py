"""What a model is given: its arguments, and which of them is the sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature

import torch
from torch import Tensor, nn

from gradscope.errors import GradscopeError

#: a tensor, keyword arguments by name, or positional ones
Inputs = Tensor | Mapping[str, object] | Sequence[object]

#: names under which models of packages take a sequence, the likeliest first
_SEQUENCES = ("input_ids", "inputs_embeds", "input_values", "input_features", "src", "x", "input")


@dataclass(frozen=True)
class Given:
    """The arguments of one call.

    Attributes:
        args: positional.
        kwargs: by name.
        key: which of them is the sequence: a place, or a name.
        sequence: tokens ``(batch, time)``, or numbers ``(batch, time, input)``; the first two axes
            may be the other way round.
        mask: which positions are no padding, as far as the arguments say so.
    """

    args: tuple[object, ...]
    kwargs: dict[str, object]
    key: int | str
    sequence: Tensor
    mask: Tensor | None

    @classmethod
    def of(cls, model: nn.Module, inputs: Inputs, name: str | None) -> Given:
        """The arguments that ``inputs`` stands for.

        Args:
            model: that takes them.
            inputs: as the user gives them.
            name: of the argument that is the sequence; None finds it.

        Raises:
            GradscopeError: if they hold no sequence, or several that may be it.
        """
        args, kwargs = _arguments(inputs)
        if hasattr(model, "config") and "use_cache" in signature(model.forward).parameters:
            kwargs.setdefault("use_cache", False)  # which no derivative needs
        key = _key(model, args, kwargs, name)
        sequence = args[key] if isinstance(key, int) else kwargs[key]
        assert isinstance(sequence, Tensor)
        _check(sequence, key)
        named = "decoder_attention_mask" if key == "decoder_input_ids" else "attention_mask"
        mask = kwargs.get(named)
        if not isinstance(mask, Tensor) or mask.shape != sequence.shape[:2]:
            mask = None
        return cls(args, kwargs, key, sequence, None if mask is None else mask.bool())

    @property
    def is_tokens(self) -> bool:
        """Whether the sequence is of whole numbers."""
        return not self.sequence.is_floating_point()

    def call(self, model: nn.Module, sequence: Tensor) -> object:
        """What the model gives for another sequence in the place of its own."""
        args = tuple(sequence if at == self.key else arg for at, arg in enumerate(self.args))
        kwargs = {name: sequence if name == self.key else x for name, x in self.kwargs.items()}
        return model(*args, **kwargs)


def _arguments(inputs: Inputs) -> tuple[tuple[object, ...], dict[str, object]]:
    if isinstance(inputs, Tensor):
        return (inputs,), {}
    if isinstance(inputs, Mapping):
        return (), {str(name): value for name, value in inputs.items()}
    if isinstance(inputs, nn.utils.rnn.PackedSequence):
        raise GradscopeError(
            "inputs are a PackedSequence: give the padded tensor of "
            "torch.nn.utils.rnn.pad_packed_sequence, and mask= where it is no padding"
        )
    if isinstance(inputs, Sequence) and not isinstance(inputs, str):
        return tuple(inputs), {}
    raise GradscopeError(
        f"inputs are of type {type(inputs).__name__}: should be a tensor, a mapping of the model's "
        "arguments by name, or a list of its positional ones"
    )


def _key(
    model: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], name: str | None
) -> int | str:
    """Where the sequence is among the arguments."""
    tensors = [key for key, value in kwargs.items() if isinstance(value, Tensor)]
    if name is not None and name in tensors:
        return name
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        if "decoder_input_ids" in tensors:
            return "decoder_input_ids"
        raise GradscopeError(
            f"{type(model).__name__} has an encoder and a decoder, and what it puts out stands "
            "beside the decoder's inputs: give inputs={'input_ids': ..., 'decoder_input_ids': ...}"
        )
    for at, value in enumerate(args):
        if isinstance(value, Tensor):
            return at
    known = [key for key in _SEQUENCES if key in tensors]
    candidates = known[:1] or [key for key in tensors if "mask" not in key]
    if len(candidates) != 1:
        raise GradscopeError(
            f"which of the inputs is the sequence? They hold {', '.join(tensors) or 'no tensor'}: "
            "say its name by of="
        )
    return candidates[0]


def _check(sequence: Tensor, key: int | str) -> None:
    """Refuse what has no time axis, or no batch axis."""
    shape, what = tuple(sequence.shape), f"the input {key!r}" if isinstance(key, str) else "inputs"
    if sequence.is_complex():
        raise GradscopeError(f"{what} are complex: give real and imaginary parts as numbers")
    if sequence.is_floating_point() and sequence.ndim < 3:
        raise GradscopeError(
            f"{what} of shape {shape} are numbers without axes for batch, time and input: for one "
            "sequence (time, input) give inputs[None], for one number a step inputs[..., None]"
        )
    if sequence.ndim < 2:
        raise GradscopeError(
            f"{what} of shape {shape} are one sequence of tokens: give inputs[None]"
        )
    if 0 in shape:
        raise GradscopeError(f"{what} of shape {shape} are empty")
    if sequence.dtype is torch.bool:
        raise GradscopeError(f"{what} are a mask (bool): should be tokens or numbers")
