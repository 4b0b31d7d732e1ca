"""attach: find the recurrences of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from gradscope.capture._depth import DepthWatch, containers
from gradscope.capture._fused import FusedWatch
from gradscope.capture._scans import ADAPTERS, ScanWatch
from gradscope.capture._steps import Step, StepWatch
from gradscope.capture._watch import Watch
from gradscope.cells import Cell
from gradscope.cells._conversion import layer_cells
from gradscope.components.options import component
from gradscope.components.registry import suggest
from gradscope.errors import GradscopeError
from gradscope.scope._scope import LIGHT, Scope


def attach(
    model: nn.Module,
    *,
    steps: Sequence[str] | Mapping[str, Step] = (),
    depth: str | Sequence[str] | bool = False,
    sequences: int | None = None,
    probes: Sequence[Any] = LIGHT,
) -> Scope:
    """Find the recurrences of any model, to be recorded while it trains as it is.

        scope = gradscope.attach(model)
        with scope.record():
            loss = criterion(model(x), y)
            loss.backward()
        scope.diagnose()

    Found without being told: torch.nn.RNN, LSTM, GRU (any layers, directions, projection, dropout,
    batch_first, packed), and torch's *Cell modules and gradscope's cells called in a loop; of
    transformers' models Mamba, RWKV and xLSTM.

    Args:
        model: any module; it may be the recurrence itself.
        steps: names of modules whose call is one step (x, s) -> s; a mapping to ``Step`` says how
            to read other calls.
        depth: look along depth too, d x_L / d x_l: the name (or names) of a container of blocks
            called one after another; True takes every Sequential or ModuleList of blocks of one
            class.
        sequences: of torch.nn.RNN, LSTM and GRU take the first so many sequences of the batch alone
            (packed: the longest), at a cost as much smaller; None is all, and only then do
            contributions add up to the parameters' own gradients.
        probes: what each recording measures: names, or mappings with options (``gradscope list
            probe``). The default's cost grows with the number of steps alone.

    Returns:
        A ``Scope``. The model is untouched.

    Raises:
        GradscopeError: for a compiled or scripted model, a name that it does not have, or a model
            without a recurrence.
    """
    _refuse(model)
    if sequences is not None and sequences < 1:
        raise GradscopeError(f"sequences should be at least 1, or None for all, got {sequences}")
    named = dict(model.named_modules())
    makers: dict[str, tuple[str, Callable[[], Watch]]] = {}
    unattached: list[str] = []
    for name in [steps] if isinstance(steps, str) else steps:
        if not isinstance(name, str):
            raise GradscopeError(
                "steps: names, as in model.named_modules(), are wanted, not a"
                f" {type(name).__name__}"
            )
    told = (
        dict(steps)
        if isinstance(steps, Mapping)
        else dict.fromkeys([steps] if isinstance(steps, str) else steps)
    )
    for name, step in told.items():
        module = _module(named, name, "steps")
        chosen = step or Step()
        makers[name] = (
            f"{type(module).__name__}, step by step",
            lambda n=name, m=module, s=chosen: StepWatch(n, m, s),
        )
    inside: list[str] = list(told)
    for name, module in named.items():
        if any(name == outer or name.startswith(f"{outer}.") or not outer for outer in inside):
            continue
        if problem := _problem(module):
            unattached.append(f"{name or type(module).__name__}: {problem}")
        elif isinstance(module, nn.RNNBase):
            cells = layer_cells(module)
            makers[name] = (
                type(module).__name__,
                lambda n=name, m=module, c=cells: FusedWatch(n, m, sequences, c),
            )
        elif known := next((adapter for adapter in ADAPTERS if adapter.knows(module)), None):
            makers[name] = (
                f"{type(module).__name__}, a diagonal scan",
                lambda n=name, m=module, a=known: ScanWatch(n, m, a, sequences),
            )
        elif isinstance(module, nn.RNNCellBase | Cell):
            makers[name] = (
                f"{type(module).__name__}, step by step",
                lambda n=name, m=module: StepWatch(n, m, None),
            )
            inside.append(name)
    if depth:
        stacks = (
            containers(model)
            if depth is True
            else [(name, _stack(named, name)) for name in _names(depth)]
        )
        for name, module in stacks:
            makers[f"{name}.depth".strip(".")] = (
                "depth",
                lambda n=name, m=module: DepthWatch(n, m),
            )
    if not makers:
        raise GradscopeError(_nothing(model, unattached, depth))
    return Scope(model, makers, unattached, [component("probe", each) for each in probes])


def _refuse(model: Any) -> None:
    if not isinstance(model, nn.Module):
        raise GradscopeError(f"attach() takes a torch.nn.Module, got {type(model).__name__}")
    if hasattr(model, "_orig_mod"):
        raise GradscopeError(
            "this model is compiled: its graph does not show the modules inside. Attach to the"
            " module before torch.compile (model._orig_mod) and run that within the recorded block;"
            " its weights are the same"
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise GradscopeError(
            "this model is a torch.jit module: what it computes cannot be seen from Python. Attach"
            " to the nn.Module that it was scripted or traced from"
        )


def _problem(module: nn.Module) -> str:
    """Why a module that looks like a recurrence cannot be attached; empty if it can, or is none."""
    if isinstance(module, torch.jit.ScriptModule):
        return (
            "a torch.jit module, which Python cannot see into; use the nn.Module that it was made"
            " from"
        )
    if hasattr(module, "_orig_mod"):
        return "compiled; record with the module before torch.compile"
    if isinstance(module, nn.RNNBase) and type(module).forward not in (
        nn.RNN.forward,
        nn.LSTM.forward,
        nn.GRU.forward,
    ):
        return (
            f"{type(module).__name__} has a forward of its own; name it in steps=, or attach to the"
            " module that it wraps"
        )
    return ""


def _module(named: dict[str, nn.Module], name: str, option: str) -> nn.Module:
    if name not in named:
        raise GradscopeError(
            f"{option}: the model has no module {name!r}; {suggest(name, [n for n in named if n])}"
        )
    return named[name]


def _names(depth: Any) -> list[str]:
    names: list[Any] = (
        [depth]
        if isinstance(depth, str)
        else list(depth)
        if isinstance(depth, Sequence)
        else [None]
    )
    for name in names:
        if not isinstance(name, str):
            raise GradscopeError(
                "depth: the name of a container of blocks, several, or True is wanted, got"
                f" {depth!r}"
            )
    return names


def _stack(named: dict[str, nn.Module], name: str) -> nn.Module:
    """The container of that name, of blocks that are called one after another."""
    module = _module(named, name, "depth")
    if not isinstance(module, nn.Sequential | nn.ModuleList) or len(module) < 2:
        known = [inner for inner, _ in containers(module)]
        better = [f"{name}.{inner}" for inner in known if inner] or [
            other for other, _ in containers(named[""]) if other
        ]
        hint = f"; did you mean {better[0]!r}?" if better else ""
        raise GradscopeError(
            f"depth: {name!r} is a {type(module).__name__}, not a Sequential or ModuleList of two"
            f" blocks or more{hint}"
        )
    return module


def _nothing(model: nn.Module, unattached: list[str], depth: Any) -> str:
    names = (
        ", ".join(f"{name} ({type(m).__name__})" for name, m in list(model.named_modules())[1:13])
        or "no submodules"
    )
    text = (
        f"no recurrence was found in {type(model).__name__}: no torch RNN, LSTM, GRU, *Cell or"
        " gradscope cell. Name the modules whose call is one step with steps=[...], or look along"
        " depth with depth=True or a container's name (gradscope diagnose: --steps, --depth). It"
        f" has: {names}"
    )
    return text + "".join(f"; {reason}" for reason in unattached)
