"""Tensors in nests."""

from collections import namedtuple
from dataclasses import dataclass

import torch

from gradscope.capture._nests import mapped, snapshot, snapshots, tensors_in

Pair = namedtuple("Pair", "a b")


@dataclass(frozen=True)
class Carried:
    hidden: object
    note: str = "kept"


class Cache:
    """As transformers' caches of keys and values."""

    def __init__(self, layers):
        self.layers = layers


def numbered(count):
    return [torch.full((1,), float(index)) for index in range(count)]


def test_tensors_are_found_in_order_and_replaced_in_place():
    a, b, c, d, e = numbered(5)
    nest = ([a, {"x": b}], Pair(c, 3), Carried((d, None)), slice(None, e), "text")
    assert [float(t) for t in tensors_in(nest)] == [0, 1, 2, 3, 4]
    doubled = mapped(nest, lambda t: 2 * t)
    assert [float(t) for t in tensors_in(doubled)] == [0, 2, 4, 6, 8]
    assert isinstance(doubled[1], Pair)
    assert doubled[2].note == "kept"
    assert nest[2].hidden[0] is d


def test_a_snapshot_does_not_see_what_is_added_later():
    x = torch.ones(2, requires_grad=True)
    cache = Cache([{"key": 2 * x}])
    (kept, same), plain = snapshots(((cache, 3), x))
    cache.layers.append(1)
    assert len(kept.layers) == 1
    assert not kept.layers[0]["key"].requires_grad
    assert same == 3
    assert plain is x


def test_what_cannot_be_copied_is_as_it_is():
    class Stubborn:
        def __init__(self):
            self.it = iter([])

        def __deepcopy__(self, memo):
            raise RuntimeError

    stubborn, module = Stubborn(), torch.nn.Linear(1, 1)
    assert snapshot(stubborn) is stubborn
    assert snapshot(module) is module
    assert snapshot(len) is len
    assert snapshot(None) is None
