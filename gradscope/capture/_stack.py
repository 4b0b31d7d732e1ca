"""Stack: which modules of a model are its layers, to look along depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

#: modules that hold others and are not called themselves
_HOLDING = (nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Stack:
    """Modules whose calls are layers.

    Attributes:
        name: of the container, or a pattern that their names match.
        module: that holds them.
        layers: the modules of each layer: one, or several that the model calls in turn.
    """

    name: str
    module: nn.Module
    layers: tuple[tuple[nn.Module, ...], ...]

    @classmethod
    def within(cls, name: str, module: nn.Module) -> Stack:
        """The children of a container; a module that is none, as one block."""
        if not isinstance(module, (nn.Sequential, *_HOLDING)):
            return cls(name, module, ((module,),))
        layers = tuple(tuple(_called(child)) for child in module.children())
        return cls(name, module, tuple(layer for layer in layers if layer))

    @classmethod
    def matching(cls, pattern: str, modules: dict[str, nn.Module]) -> Stack | None:
        """The modules whose names match, each a layer; None where fewer than two do."""
        found = [module for name, module in modules.items() if _matches(name, pattern)]
        found = [module for module in found if not isinstance(module, _HOLDING)]
        if len(found) < 2:
            return None
        return cls(pattern, nn.ModuleList(found), tuple((module,) for module in found))


def _matches(name: str, pattern: str) -> bool:
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _called(module: nn.Module) -> Iterator[nn.Module]:
    """The modules that a layer's calls are of: itself, or what a container of it holds."""
    if not isinstance(module, _HOLDING):
        yield module
        return
    for child in module.children():
        yield from _called(child)


def stacks(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Containers along whose blocks depth may be looked, outermost first, by name.

    Lists and sequences of at least two blocks of one class that have parameters. Others, such as
    lists of blocks of several classes, are looked along where they are named.
    """
    outermost: list[tuple[str, nn.Module]] = []
    for name, module in model.named_modules():
        blocks = list(module.children())
        inside = any(
            name == outer or name.startswith(f"{outer}.") for outer, _ in outermost if outer
        )
        if isinstance(module, nn.Sequential | nn.ModuleList) and len(blocks) > 1 and not inside:
            kinds = {type(block) for block in blocks}
            called = not kinds & set(_HOLDING)
            if called and len(kinds) == 1 and any(True for _ in blocks[0].parameters()):
                outermost.append((name, module))
    return outermost
