"""What the layers of a model put out on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from gradscope.components.suggestions import suggest
from gradscope.errors import GradscopeError
from gradscope.influencing._output import tensor_of

#: which layers are asked: all blocks of a stack, those of these names, or none
Layers = bool | Sequence[str]


@contextmanager
def caught(model: nn.Module, layers: Layers) -> Iterator[dict[str, Tensor]]:
    """What each layer gives, by its name, in the order of the calls.

    A layer that is called several times has a number behind its name from the second call on.

    Raises:
        GradscopeError: for a name that the model does not have, or if there is no stack of blocks.
    """
    found: dict[str, Tensor] = {}
    hooks = [
        module.register_forward_hook(_hook(name, found)) for name, module in _asked(model, layers)
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _hook(name: str, found: dict[str, Tensor]) -> Callable[[nn.Module, object, object], None]:
    def after(module: nn.Module, args: object, output: object) -> None:
        try:
            value = tensor_of(output, None)
        except GradscopeError:
            return
        calls = sum(other == name or other.startswith(f"{name} #") for other in found)
        found[f"{name} #{calls + 1}" if calls else name] = value

    return after


def _asked(model: nn.Module, layers: Layers) -> list[tuple[str, nn.Module]]:
    if layers is False:
        return []
    modules = dict(model.named_modules())
    if layers is True:
        blocks = _blocks(modules)
        if not blocks:
            raise GradscopeError(
                "layers=True looks for a Sequential or ModuleList of blocks, and the model has "
                "none: name modules, such as layers=['encoder', 'decoder']"
            )
        return blocks
    names = [layers] if isinstance(layers, str) else list(layers)
    for name in names:
        if name not in modules:
            raise GradscopeError(f"the model has no module {name!r}: {suggest(name, modules)}")
    return [(name, modules[name]) for name in names]


def _blocks(modules: dict[str, nn.Module]) -> list[tuple[str, nn.Module]]:
    """The children of the outermost lists and sequences that have at least two with parameters."""
    found: list[tuple[str, nn.Module]] = []
    for name, module in modules.items():
        if any(name.startswith(f"{outer}.") or name == outer for outer, _ in found):
            continue
        children = [
            (f"{name}.{key}" if name else key, child)
            for key, child in module.named_children()
            if any(True for _ in child.parameters())
        ]
        if isinstance(module, nn.Sequential | nn.ModuleList) and len(children) > 1:
            found += children
    return found
