"""Tensors within the arguments and results of a call, however they are nested."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

#: how deep the attributes of an object that is no nest are searched for tensors
_DEPTH = 6
#: what needs no copy
_PLAIN = (str, int, float, bool, complex, bytes, type, torch.dtype, torch.device, nn.Module, Tensor)


def tensors_in(nest: object) -> list[Tensor]:
    """The tensors of a nest of tuples, lists, mappings and dataclasses, in order."""
    found: list[Tensor] = []

    def take(tensor: object) -> object:
        assert isinstance(tensor, Tensor)
        found.append(tensor)
        return tensor

    mapped(nest, take)
    return found


def mapped(nest: object, by: Callable[[object], object], of: type = Tensor) -> object:
    """The same nest with ``by(leaf)`` in the place of each leaf of a class."""
    if isinstance(nest, of):
        return by(nest)
    if pytree.is_namedtuple_instance(nest) or type(nest) in pytree.SUPPORTED_NODES:
        leaves, structure = pytree.tree_flatten(nest, is_leaf=lambda part: part is not nest)
        return pytree.tree_unflatten([mapped(leaf, by, of) for leaf in leaves], structure)
    if isinstance(nest, slice):
        return slice(*(mapped(part, by, of) for part in (nest.start, nest.stop, nest.step)))
    if is_dataclass(nest) and not isinstance(nest, type):
        made = copy.copy(nest)
        for field in fields(nest):
            if hasattr(nest, field.name):
                value = mapped(getattr(nest, field.name), by, of)
                object.__setattr__(made, field.name, value)
        return made
    return nest


def snapshots(nest: object) -> object:
    """The same nest with objects that are no tensors as they are now."""
    return mapped(nest, snapshot, of=object) if not _is_nest(nest) else _inside(nest)


def snapshot(thing: object) -> object:
    """An object as it is now, such as a cache of keys and values that a block adds to.

    Tensors in it are detached; what cannot be copied, or need not be, is given as it is.
    """
    if thing is None or isinstance(thing, _PLAIN) or callable(thing):
        return thing
    if not hasattr(thing, "__dict__"):
        return thing
    memo: dict[int, object] = {id(tensor): tensor.detach() for tensor in _held(thing, _DEPTH)}
    try:
        return copy.deepcopy(thing, memo)
    except Exception:  # whatever somebody else's object does not like
        return thing


def _is_nest(nest: object) -> bool:
    if pytree.is_namedtuple_instance(nest) or type(nest) in pytree.SUPPORTED_NODES:
        return True
    return isinstance(nest, slice) or (is_dataclass(nest) and not isinstance(nest, type))


def _inside(nest: object) -> object:
    if type(nest) not in pytree.SUPPORTED_NODES:
        return nest
    leaves, structure = pytree.tree_flatten(nest, is_leaf=lambda part: part is not nest)
    return pytree.tree_unflatten([snapshots(leaf) for leaf in leaves], structure)


def _held(thing: object, depth: int) -> list[Tensor]:
    """Tensors that an object holds."""
    if isinstance(thing, Tensor):
        return [thing]
    if not depth or isinstance(thing, _PLAIN):
        return []
    if isinstance(thing, Mapping):
        parts = list(thing.values())
    elif isinstance(thing, list | tuple):
        parts = list(thing)
    else:
        parts = list(getattr(thing, "__dict__", {}).values())
    return [tensor for part in parts for tensor in _held(part, depth - 1)]
