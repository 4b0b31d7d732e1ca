"""Where x_t enters a model: the input itself, or the vectors that it makes of its tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from gradscope.components.suggestions import suggest
from gradscope.errors import GradscopeError
from gradscope.influencing._given import Given

#: how the tokens of a call lie, seen from those of the input
_Form = Literal["as they are", "transposed", "flat"]


class Leaf:
    """x_t, cut off from what made it, so that a gradient can be taken with respect to it.

    Args:
        given: the arguments of the model's call.

    Attributes:
        value: the leaf; None before the model has read its tokens.
        name: of the module that makes it; "" where it is the input itself.
        others: modules that read the same tokens, which are left as they are.
    """

    def __init__(self, given: Given):
        self.given = given
        self.value: Tensor | None = None
        self.name = ""
        self.others: list[str] = []
        self._form: _Form = "as they are"

    def take(self, value: Tensor, name: str = "", form: _Form = "as they are") -> Tensor:
        """Make it of a value; returns what the model goes on with."""
        self.value, self.name, self._form = value.detach().clone().requires_grad_(), name, form
        return self.value.clone()  # which the model may change in place

    def by_position(self, gradient: Tensor) -> Tensor:
        """A gradient with respect to it along the input's own first two axes."""
        rows, columns = self.given.sequence.shape[:2]
        if self._form == "transposed":
            gradient = gradient.transpose(0, 1)
        return gradient.reshape(rows, columns, -1)


@contextmanager
def put_into(model: nn.Module, given: Given, module: str | None) -> Iterator[Leaf]:
    """A leaf, and the hooks that put it into the model in the place of what it reads.

    Args:
        model: that reads it.
        given: the arguments of its call.
        module: name of the one whose output is x_t; None is the embedding of tokens, or numbers
            themselves.

    Raises:
        GradscopeError: for a name that the model does not have.
    """
    leaf = Leaf(given)
    hooks = [
        made.register_forward_hook(_hook(leaf, name, any_call=module is not None), with_kwargs=True)
        for name, made in _modules(model, given, module).items()
    ]
    try:
        yield leaf
    finally:
        for hook in hooks:
            hook.remove()


def _modules(model: nn.Module, given: Given, module: str | None) -> dict[str, nn.Module]:
    """Those whose output may be x_t."""
    if module is not None:
        modules = dict(model.named_modules())
        if module not in modules:
            raise GradscopeError(
                f"of={module!r} is no input and no module of the model: {suggest(module, modules)}"
            )
        return {module: modules[module]}
    if not given.is_tokens:
        return {}
    return {
        name: made for name, made in model.named_modules() if isinstance(made, nn.Embedding)
    } | _own_embedding(model)


def _own_embedding(model: nn.Module) -> dict[str, nn.Module]:
    """What a model of transformers names as its embedding, which may be of a class of its own."""
    try:
        made = getattr(model, "get_input_embeddings")()  # noqa: B009 - not every module has it
    except (AttributeError, NotImplementedError, TypeError):
        return {}
    names = [name for name, module in model.named_modules() if module is made]
    return {names[0]: made} if names and isinstance(made, nn.Module) else {}


Hook = Callable[[nn.Module, tuple[object, ...], dict[str, object], object], Tensor | None]


def _hook(leaf: Leaf, name: str, any_call: bool) -> Hook:
    """Put the leaf in the place of what the first module gives that reads the tokens."""

    def after(
        module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object
    ) -> Tensor | None:
        form = "as they are" if any_call else _form(args, kwargs, leaf.given.sequence)
        if form is None:
            return None
        if leaf.value is not None:
            if name != leaf.name and name not in leaf.others:
                leaf.others.append(name)
            return None
        if not isinstance(output, Tensor) or not output.is_floating_point():
            raise GradscopeError(f"'{name}' should give one tensor of numbers to be x_t")
        if any_call and output.shape[:2] != leaf.given.sequence.shape[:2]:
            raise GradscopeError(
                f"'{name}' gives a tensor of shape {tuple(output.shape)} for inputs of shape "
                f"{tuple(leaf.given.sequence.shape)}: x_t should have their first two axes"
            )
        return leaf.take(output, name, form)

    return after


def _form(args: tuple[object, ...], kwargs: dict[str, object], tokens: Tensor) -> _Form | None:
    """How the tokens lie that a module was called with; None if it was called with others."""
    read = next((x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)), None)
    if read is None or read.numel() != tokens.numel() or read.device != tokens.device:
        return None
    if read.shape == tokens.shape and torch.equal(read, tokens):
        return "as they are"
    if tokens.ndim == 2 and read.shape == tokens.T.shape and torch.equal(read, tokens.T):
        return "transposed"
    same = read.ndim == 1 and torch.equal(read, tokens.flatten())
    return "flat" if same else None
