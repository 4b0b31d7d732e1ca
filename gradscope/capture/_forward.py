"""Seeing a module's forward pass, however it is called, without changing or ending it."""

from __future__ import annotations

import copy
import functools
import operator
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

import torch
from torch import nn
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue]  # has no stub

from gradscope.errors import GradscopeError

#: what is called before a forward pass with (module, args, kwargs), and after it with the output as
#: well; the latter may give another output of the same numbers
Before = Callable[..., object]
After = Callable[..., object]


class Onlooker:
    """Calls what looks on, and keeps what goes wrong there from the model that is looked at.

    Attributes:
        failure: what went wrong first; nothing more is looked at from then on.
        unseen: how many calls could not be looked at, by why.
        compiled: whether the first call came by way of a compiled function.
    """

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.compiled: bool | None = None
        self.unseen: Counter[str] = Counter()

    def look(self, what: Callable[..., object], *given: object) -> object:
        """What ``what`` gives; None where it fails."""
        if self.failure is not None:
            return None
        try:
            return what(*given)
        except Exception as error:  # the training that is looked at goes on
            self.failure = error
            return None

    def problem(self, name: str) -> GradscopeError | None:
        """What went wrong, as an error of ours."""
        if self.failure is None or isinstance(self.failure, GradscopeError):
            return self.failure
        said = f"{type(self.failure).__name__}: {self.failure}"
        error = GradscopeError(f"{name!r} could not be looked at: {said}")
        error.__cause__ = self.failure
        return error

    def notes(self, name: str) -> list[str]:
        """Which calls were left out, and why."""
        return [
            f"{name}: {count} call{'s' * (count > 1)} {why} left out: a gradient cannot be seen "
            "there"
            for why, count in self.unseen.items()
        ]


def watch_forward(
    module: nn.Module, onlooker: Onlooker, before: Before | None, after: After, hooks: ExitStack
) -> None:
    """Look at every forward pass of a module, called as ``module(x)`` or ``module.forward(x)``.

    Args:
        module: whose ``forward`` is replaced until ``hooks`` is closed.
        onlooker: calls the next two.
        before: is called with (module, args, kwargs).
        after: is called with (module, args, kwargs, output).
        hooks: gives the module its own ``forward`` back.
    """
    own = vars(module).get("forward")
    object.__setattr__(module, "forward", _Watched(module, own, onlooker, before, after))

    def restore() -> None:
        if own is None:
            vars(module).pop("forward", None)
        else:
            object.__setattr__(module, "forward", own)

    hooks.callback(restore)


class _Watched:
    """The forward pass of a module that is looked at; a copy of the module has its own instead.

    Args:
        module: whose it is.
        own: what the module had in its place; None if its class has it.
        onlooker: calls the next two.
        before: is called with (module, args, kwargs).
        after: is called with (module, args, kwargs, output).
    """

    def __init__(
        self,
        module: nn.Module,
        own: Callable[..., object] | None,
        onlooker: Onlooker,
        before: Before | None,
        after: After,
    ):
        self.module, self.own, self.inner = module, own, module.forward
        self.onlooker, self.before, self.after = onlooker, before, after
        # of a pass that is looked at already, what it holds is not this one's
        theirs = () if isinstance(self.inner, _Watched) else functools.WRAPPER_UPDATES
        functools.update_wrapper(self, self.inner, updated=theirs)

    def __call__(self, *args: object, **kwargs: object) -> object:
        onlooker, module = self.onlooker, self.module
        if why := _blind():
            onlooker.unseen.update([why] if why != _COMPILING else [])
            return self.inner(*args, **kwargs)
        if onlooker.compiled is None:
            onlooker.compiled = _is_compiled()
        if self.before is not None:
            onlooker.look(self.before, module, args, kwargs)
        output = self.inner(*args, **kwargs)
        seen = onlooker.look(self.after, module, args, kwargs, output)
        return output if seen is None else seen

    def __deepcopy__(self, memo: dict[int, object]) -> object:
        """The copied module's own forward pass."""
        copied = memo.get(id(self.module), self.module)
        if self.own is not None:
            return copy.deepcopy(self.own, memo)
        return type(self.module).forward.__get__(copied)

    def __reduce__(self) -> tuple[object, ...]:
        """The module's own forward pass, so that it can be saved while it is looked at."""
        if self.own is not None:
            return operator.itemgetter(0), ([self.own],)
        return getattr, (self.module, "forward")


def _is_compiled() -> bool:
    """Whether a compiled function is among the callers."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename.endswith("_dynamo/eval_frame.py"):
            return True
        frame = frame.f_back
    return False


_COMPILING = "under compilation"
#: why a call of no sequence is left out
EMPTY = "of an empty batch"


def _blind() -> str:
    """Why a call cannot be looked at; "" where it can."""
    if torch.compiler.is_compiling():
        return _COMPILING
    if torch.is_inference_mode_enabled():
        return "under torch.inference_mode()"
    if _functorch.peek_interpreter_stack() is not None:
        return "under torch.func (vmap, grad, jvp ...)"
    if torch.cuda.is_available() and torch.cuda.is_current_stream_capturing():
        return "under the capture of a CUDA graph"
    return ""
