"""Attachment: which modules of a model are watched, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn

from gradscope.capture._depth import DepthWatch
from gradscope.capture._fused import FusedWatch
from gradscope.capture._kernel_watch import KernelWatch, about, kernels_of
from gradscope.capture._loops import LoopWatch, may_loop
from gradscope.capture._slstm_watch import ABOUT as SLSTM
from gradscope.capture._slstm_watch import SlstmWatch, is_slstm
from gradscope.capture._slstm_watch import problem as slstm_problem
from gradscope.capture._stack import Stack, stacks
from gradscope.capture._step import Step
from gradscope.capture._steps import StepWatch
from gradscope.capture._watch import Watch
from gradscope.cells import Cell
from gradscope.cells._conversion import layer_cells
from gradscope.components import suggest
from gradscope.errors import GradscopeError

#: names of modules, or how each is called
Steps = Sequence[str] | Mapping[str, Step]
#: name of a container, names, or whether to take all
Depth = str | Sequence[str] | bool
#: whether to look for loops, or the names of the modules that loop
Loops = bool | str | Sequence[str]


@dataclass(frozen=True)
class Watched:
    """One place that is watched.

    Attributes:
        module: its name.
        kind: what the reader should take it for, such as "LSTM" or "GRUCell, step by step".
        make: a watch for one recorded block.
    """

    module: str
    kind: str
    make: Callable[[], Watch]


@dataclass
class Attachment:
    """What is watched in a model.

    Attributes:
        watched: by name; that of a container looked along in depth ends in "depth".
        unattached: what looks like a recurrence and cannot be watched, with what to do about it.
        loops: watches what may turn out to be called on its own output; None where nothing may.
    """

    watched: dict[str, Watched] = field(default_factory=dict)
    unattached: list[str] = field(default_factory=list)
    loops: Watched | None = None

    @classmethod
    def of(
        cls,
        model: nn.Module,
        steps: Steps = (),
        depth: Depth = False,
        sequences: int | None = None,
        loops: Loops = True,
    ) -> Attachment:
        """Find them; ``gradscope.attach`` says what the arguments are.

        Raises:
            GradscopeError: for a scripted model, a name that it does not have, or a
                model without a recurrence.
        """
        _refuse(model)
        if sequences is not None and sequences < 1:
            raise GradscopeError(
                f"sequences should be at least 1, or None for all, got {sequences}"
            )
        attachment = cls()
        named = _steps_by_name(steps)
        attachment._take_named(named_modules(model), named)
        attachment._take_known(model, list(named), sequences)
        if depth:
            attachment._take_depth(model, depth)
        attachment._take_loops(model, loops)
        if not attachment.watched and (attachment.unattached or attachment.loops is None):
            raise GradscopeError(nothing_found(model, attachment.unattached))
        return attachment

    def all(self) -> list[Watched]:
        """Everything that is watched."""
        return [*self.watched.values(), *([] if self.loops is None else [self.loops])]

    def _take_named(self, modules: dict[str, nn.Module], named: dict[str, Step | None]) -> None:
        for name, step in named.items():
            module = _module(modules, name, "steps")
            make = partial(StepWatch, name, module, step or Step())
            self.watched[name] = Watched(name, f"{type(module).__name__}, step by step", make)

    def _take_known(self, model: nn.Module, inside: list[str], sequences: int | None) -> None:
        """Modules of known classes, but none inside a module that is watched already.

        Args:
            model: that is searched.
            inside: names of the modules whose call is one step.
            sequences: how many of the batch are measured; None is all.
        """
        for name, module in named_modules(model).items():
            kind = type(module).__name__
            if any(name == outer or name.startswith(f"{outer}.") or not outer for outer in inside):
                continue
            if problem := _problem(module):
                self.unattached.append(f"{name or kind}: {problem}")
            elif isinstance(module, nn.RNNBase):
                make = partial(FusedWatch, name, module, sequences, layer_cells(module))
                self.watched[name] = Watched(name, kind, make)
            elif is_slstm(module):
                make = partial(SlstmWatch, name, module, sequences)
                self.watched[name] = Watched(name, f"{kind}, {SLSTM}", make)
            elif kernels := kernels_of(module):
                make = partial(KernelWatch, name, module, sequences)
                self.watched[name] = Watched(name, f"{kind}, {about(kernels)}", make)
            elif isinstance(module, nn.RNNCellBase | Cell):
                make = partial(StepWatch, name, module, None)
                self.watched[name] = Watched(name, f"{kind}, step by step", make)
                inside.append(name)

    def _take_depth(self, model: nn.Module, depth: Depth) -> None:
        modules = named_modules(model)
        chosen = (
            [Stack.within(name, module) for name, module in stacks(model)]
            if depth is True
            else [_stack(modules, name) for name in _depth_names(depth)]
        )
        for stack in chosen:
            make = partial(DepthWatch, stack, model)
            self.watched[f"{stack.name}.depth".strip(".")] = Watched(stack.name, "depth", make)

    def _take_loops(self, model: nn.Module, loops: Loops) -> None:
        """What may be called on its own output: nothing that is a recurrence, or has one in it."""
        modules = named_modules(model)
        exactly = not isinstance(loops, bool)
        if exactly:
            names = _names(loops, "loops")
            for name in names:
                _module(modules, name, "loops")
        elif loops:
            known = [w.module for w in self.watched.values() if w.kind != "depth"]
            names = [
                name
                for name, module in modules.items()
                if may_loop(module) and not any(_related(name, other) for other in known)
            ]
        else:
            names = []
        if names:
            wanted = {name: modules[name] for name in names}
            watched = [modules[w.module] for w in self.watched.values() if w.kind != "depth"]
            make = partial(LoopWatch, model, wanted, watched, exactly=exactly)
            self.loops = Watched("", "loops over their own output", make)


def _related(name: str, other: str) -> bool:
    """Whether one of two modules is the other, or within it."""
    inner, outer = sorted((name, other), key=len, reverse=True)
    return not outer or inner == outer or inner.startswith(f"{outer}.")


def named_modules(model: nn.Module) -> dict[str, nn.Module]:
    """A model's modules by name; in the place of a compiled one what it was made of."""
    found: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        parts = [part for part in name.split(".") if part != "_orig_mod"]
        found[".".join(parts)] = module  # the module itself comes after what is compiled of it
    return found


# --- what was asked for -----------------------------------------------------------------------


def _steps_by_name(steps: object) -> dict[str, Step | None]:
    """Names of modules, and how each is called where that is said."""
    names = (
        steps if isinstance(steps, Mapping | Sequence) and not isinstance(steps, str) else [steps]
    )
    for name in names:
        if not isinstance(name, str):
            raise GradscopeError(
                "steps: names, as in model.named_modules(), are wanted, not a "
                f"{type(name).__name__}"
            )
    return dict(names) if isinstance(names, Mapping) else dict.fromkeys(names)


def _names(names: object, option: str) -> list[str]:
    """Names of modules."""
    several = [names] if isinstance(names, str) else names
    if not isinstance(several, Sequence) or not all(isinstance(name, str) for name in several):
        raise GradscopeError(
            f"{option}: names, as in model.named_modules(), or True or False are wanted, got "
            f"{names!r}"
        )
    return list(several)


def _depth_names(depth: object) -> list[str]:
    """Names of containers."""
    names = [depth] if isinstance(depth, str) else depth
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise GradscopeError(
            f"depth: the name of a container of blocks, several, or True is wanted, got {depth!r}"
        )
    return list(names)


def _module(modules: dict[str, nn.Module], name: str, option: str) -> nn.Module:
    if name not in modules:
        known = [other for other in modules if other]
        raise GradscopeError(f"{option}: the model has no module {name!r}; {suggest(name, known)}")
    return modules[name]


def _stack(modules: dict[str, nn.Module], name: str) -> Stack:
    """The blocks of a container, or those whose names match a pattern."""
    if any(sign in name for sign in "*?["):
        stack = Stack.matching(name, modules)
        if stack is None:
            raise GradscopeError(f"depth: fewer than two modules match {name!r}")
        return stack
    module = _module(modules, name, "depth")
    if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict) and len(module):
        return Stack.within(name, module)
    within = [f"{name}.{inner}" for inner, _ in stacks(module) if inner]
    if not within and not isinstance(module, nn.RNNBase | nn.RNNCellBase | Cell):
        return Stack.within(name, module)
    better = within or [other for other, _ in stacks(modules[""]) if other]
    hint = f"; did you mean {better[0]!r}?" if better else ""
    raise GradscopeError(
        f"depth: {name!r} is a {type(module).__name__}, not a Sequential or ModuleList of blocks, "
        f"nor a block that is called again and again{hint}"
    )


# --- what cannot be watched -------------------------------------------------------------------


def _refuse(model: object) -> None:
    if not isinstance(model, nn.Module):
        raise GradscopeError(f"attach() takes a torch.nn.Module, got {type(model).__name__}")
    if isinstance(model, torch.jit.ScriptModule):
        raise GradscopeError(
            "this model is a torch.jit module: what it computes cannot be seen from Python. Attach "
            "to the nn.Module that it was scripted or traced from"
        )


def _problem(module: nn.Module) -> str:
    """Why a module that looks like a recurrence cannot be attached; empty if it can, or is none."""
    if isinstance(module, torch.jit.ScriptModule):
        return (
            "a torch.jit module, which Python cannot see into; use the nn.Module that it was made "
            "from"
        )
    stock = (nn.RNN.forward, nn.LSTM.forward, nn.GRU.forward)
    if is_slstm(module):
        return slstm_problem(module)
    if isinstance(module, nn.RNNBase) and type(module).forward not in stock:
        return (
            f"{type(module).__name__} has a forward of its own; name it in steps=, or attach to "
            "the module that it wraps"
        )
    return ""


def nothing_found(model: nn.Module, unattached: list[str]) -> str:
    """That a model has no recurrence, and what to do."""
    modules = list(named_modules(model).items())[1:13]
    names = ", ".join(f"{name} ({type(module).__name__})" for name, module in modules)
    text = (
        f"no recurrence was found in {type(model).__name__}: no torch RNN, LSTM, GRU, *Cell or "
        "gradscope cell, and no module was called on its own output. Name the modules whose call "
        "is one step with steps=[...], or look along "
        "depth with depth=True or a container's name (gradscope diagnose: --steps, --depth, "
        "--loops). It "
        f"has: {names or 'no submodules'}"
    )
    return text + "".join(f"; {reason}" for reason in unattached)
