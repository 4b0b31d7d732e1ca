"""Running a model in eval mode, and leaving it as it was."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain

import torch
from torch import nn


@contextmanager
def left_as_it_was(model: nn.Module) -> Iterator[list[str]]:
    """Eval mode, gradients on and compilation off within; afterwards all is as before.

    So are each module's mode and the random generators. Parameters and their ``grad`` are not
    touched. Yields notes, among them afterwards whether the model itself has changed a tensor of
    its own.
    """
    notes: list[str] = []
    modes = {module: module.training for module in model.modules()}
    rescaled = {module: bool(module.layers_are_rescaled) for module in modes if _rescales(module)}
    stamps = {name: tensor._version for name, tensor in _tensors(model)}
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=_devices()))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        _without_compilation(stack)
        if any(isinstance(module, nn.RNNBase) for module in modes):
            # cuDNN's recurrences have no backward pass in eval mode
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        try:
            model.eval()
            yield notes
        finally:
            for module, training in modes.items():
                module.training = training
            changed = [name for name, x in _tensors(model) if x._version != stamps.get(name)]
            for module, before in rescaled.items():
                _rescale(module, before)
            if changed and not rescaled:
                notes.append(f"the model changed tensors of its own in eval mode: {changed[0]}")


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters and buffers that count their versions."""
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if not tensor.is_inference():
            yield name, tensor


def _devices() -> list[int]:
    ready = torch.cuda.is_available() and torch.cuda.is_initialized()
    return list(range(torch.cuda.device_count())) if ready else []


def _without_compilation(stack: ExitStack) -> None:
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    if getattr(dynamo, "cached_backends", None) and hasattr(torch.compiler, "set_stance"):
        stack.enter_context(torch.compiler.set_stance("force_eager"))


def _rescales(module: nn.Module) -> bool:
    """Whether it divides weights by powers of two in eval mode, as RWKV of transformers does."""
    return hasattr(module, "layers_are_rescaled") and hasattr(module, "_rescale_layers")


def _rescale(module: nn.Module, rescaled: bool) -> None:
    """Scale its weights as they were, which is exact."""
    training = module.training
    module.training = not rescaled
    getattr(module, "_rescale_layers")()  # noqa: B009 - a name of its own
    module.training = training
