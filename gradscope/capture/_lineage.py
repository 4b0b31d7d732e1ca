"""Lineage: of what each tensor was made, also where autograd keeps no record."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue]  # has no stub
from torch.overrides import TorchFunctionMode

from gradscope.capture._call import RandomState
from gradscope.capture._forward import Onlooker
from gradscope.capture._watch import recomputing

#: operations that are followed in one block; of a longer one nothing more is
MOST = 200_000
#: values that are kept of what is made behind a call
TAIL = 16
#: functions that cut a tensor off from what it was made of
_DATA = vars(torch._C.TensorBase)["data"].__get__
CUTS: frozenset[object] = frozenset({torch.detach, Tensor.detach, _DATA})
#: what gives a tensor that is not made of its arguments
_APART: frozenset[object] = frozenset({vars(torch._C.TensorBase)["grad"].__get__})
#: likewise by name: made of the argument's shape alone, or drawn
_LIKE = ("empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like")
_NEW = ("new_zeros", "new_ones", "new_empty", "new_full", "new_tensor", "bernoulli", "normal")
_UNMADE = frozenset((*_LIKE, *_NEW, "randint_like", "multinomial", "requires_grad_"))
#: what draws random numbers in making something of its arguments
_DROPS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout")
_DRAWS = frozenset((*_DROPS, "feature_alpha_dropout", "rrelu", "scaled_dot_product_attention"))
_OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "pow", "mod", "matmul", "and", "or")
_IN_PLACE = frozenset({"__setitem__", *(f"__i{name}__" for name in _OPERATORS)})
_DRAWN_IN_PLACE = frozenset(("normal_", "uniform_", "random_", "bernoulli_", "exponential_"))


@dataclass(eq=False)
class Operation:
    """One call of a function of torch.

    Attributes:
        function: that was called.
        args: its arguments by position; tensors of floats as values.
        kwargs: those by name.
        inputs: the values among them.
        time: on the clock of the lineage.
        grad: whether autograd was on.
        changes: whether it changed its first argument in place.
        random: from which it drew; None where nothing is drawn.
    """

    function: Callable[..., object]
    args: Sequence[object]
    kwargs: Mapping[str, object]
    inputs: list[Value]
    time: int
    grad: bool
    changes: bool = False
    random: RandomState | None = None


class Value:
    """What a tensor of floats held from one change to the next.

    Args:
        tensor: that holds it.
        operation: that made it; None where nothing is known of that.
        index: which output of the operation it is.
        bits: one for each module from whose output it was made.
        time: when it was made.

    Attributes:
        outputs: (call, which of its tensors) of the watched calls that gave it.
        leaf: the tensor itself, where nothing is known of how it was made.
        shape: of the tensor.
    """

    __slots__ = ("bits", "index", "leaf", "operation", "outputs", "ref", "shape", "time", "version")

    def __init__(
        self,
        tensor: Tensor,
        operation: Operation | None = None,
        index: int = 0,
        bits: int = 0,
        time: int = 0,
    ):
        self.operation, self.index, self.bits, self.time = operation, index, bits, time
        self.ref, self.version, self.shape = weakref.ref(tensor), tensor._version, tensor.shape
        self.leaf = tensor if operation is None else None
        self.outputs: list[tuple[object, int]] = []

    @property
    def tensor(self) -> Tensor | None:
        """The tensor, as long as it lives and holds this value."""
        tensor = self.ref()
        return tensor if tensor is not None and tensor._version == self.version else None


class Lineage(TorchFunctionMode):
    """Follows what functions of torch make of tensors while it is entered.

    Values of tensors are not kept, but for those of which nothing is known; no number changes.

    Args:
        onlooker: keeps what goes wrong here from the model.

    Attributes:
        paused: whether nothing is followed; a count.
        clock: grows with every operation, and whenever it is asked.
        hushed: when something last ran with autograd off.
        tail: what was made of the results of certain modules, in certain shapes; the first few.
    """

    def __init__(self, onlooker: Onlooker):
        super().__init__()
        self.onlooker, self.paused, self.clock, self.hushed = onlooker, 0, 0, 0
        self.tail: list[tuple[Value, Tensor]] = []
        self._tail_bits, self._tail_shapes = 0, frozenset[torch.Size]()
        self._in_tail: Callable[[Value, Tensor], object] = lambda value, tensor: None
        self._values: dict[int, Value] = {}

    def begin_tail(
        self, bits: int, shapes: frozenset[torch.Size], told: Callable[[Value, Tensor], object]
    ) -> None:
        """From now on, keep the first few values made of these modules' results; tell of each."""
        self.tail, self._in_tail = [], told
        self._tail_bits, self._tail_shapes = bits, shapes

    def tick(self) -> int:
        """A time of its own."""
        self.clock += 1
        return self.clock

    @property
    def is_full(self) -> bool:
        """Whether it has followed as many operations as it does."""
        return self.clock > MOST

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Call a function, and take note of what it made."""
        kwargs = kwargs or {}
        if self.paused or self.is_full or self.onlooker.failure is not None:
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        changes = name in _IN_PLACE or (name.endswith("_") and not name.endswith("__"))
        random, noted = None, None
        if changes or name in _DRAWS:
            if _unseen():
                return func(*args, **kwargs)
            random = self.onlooker.look(_random, args) if name in _DRAWS else None
            noted = self.onlooker.look(self._noted, args, kwargs) if changes else None
        output = func(*args, **kwargs)
        if changes:
            self.onlooker.look(self._changed, func, name, args, noted)
        elif isinstance(output, Tensor | tuple | list) and name not in _UNMADE:
            self.onlooker.look(self._made, func, args, kwargs, output, random)
        return output

    # --- what was made ------------------------------------------------------------------------

    def _made(
        self,
        function: Callable[..., object],
        args: Sequence[object],
        kwargs: Mapping[str, object],
        output: Tensor | Sequence[object],
        random: RandomState | None,
    ) -> None:
        outputs = (output,) if isinstance(output, Tensor) else output
        if function in _APART or not any(map(_is_float, outputs)) or _unseen():
            return
        given, named, inputs = self._noted(args, kwargs)
        if not inputs or (len(outputs) == 1 and any(outputs[0] is v.ref() for v in inputs)):
            return  # it gave what it was given
        grad = torch.is_grad_enabled()
        made = Operation(function, given, named, inputs, self.tick(), grad, random=random)
        self._keep(made, outputs)

    def _keep(self, made: Operation, outputs: Sequence[object]) -> None:
        bits = 0
        for value in made.inputs:
            bits |= value.bits
        if not made.grad:
            self.hushed = made.time
        for index, tensor in enumerate(outputs):
            if _is_float(tensor):
                assert isinstance(tensor, Tensor)
                value = self._mortal(tensor, Value(tensor, made, index, bits, made.time))
                self._values[id(tensor)] = value
                of_tail = bits & self._tail_bits and value.shape in self._tail_shapes
                if of_tail and len(self.tail) < TAIL:
                    self.tail.append((value, tensor))
                    self._in_tail(value, tensor)

    def _mortal(self, tensor: Tensor, value: Value) -> Value:
        """A value that is forgotten when its tensor is."""
        key, values = id(tensor), self._values

        def forget(ref: weakref.ref[Tensor]) -> None:
            known = values.get(key)
            if known is not None and known.ref is ref:
                del values[key]

        value.ref = weakref.ref(tensor, forget)
        return value

    def _changed(
        self,
        function: Callable[..., object],
        name: str,
        args: Sequence[object],
        noted: tuple[list[object], dict[str, object], list[Value]] | None,
    ) -> None:
        """A tensor that was changed in place holds another value from now on."""
        tensor = args[0] if args else None
        if not _is_float(tensor) or noted is None:
            return
        assert isinstance(tensor, Tensor)
        before = self._values.get(id(tensor))
        if name == "detach_" and before is not None:
            cut = Operation(torch.detach, [before], {}, [before], self.tick(), grad=True)
            self._keep(cut, (tensor,))
        if before is None or before.version == tensor._version:
            return
        if name in _DRAWN_IN_PLACE or (tensor.is_leaf and tensor.requires_grad):
            del self._values[id(tensor)]
            return
        given, named, inputs = noted
        made = Operation(
            function, given, named, inputs, self.tick(), torch.is_grad_enabled(), changes=True
        )
        self._keep(made, (tensor,))

    def _noted(
        self, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> tuple[list[object], dict[str, object], list[Value]]:
        """Arguments with values in the place of tensors, and these values."""
        inputs: list[Value] = []
        given = [self._as_value(arg, inputs) for arg in args]
        named = {name: self._as_value(arg, inputs) for name, arg in kwargs.items()}
        return given, named, inputs

    def _as_value(self, arg: object, inputs: list[Value]) -> object:
        if isinstance(arg, Tensor):
            if not _is_float(arg):
                return arg
            value = self.value(arg)
            inputs.append(value)
            return value
        if type(arg) in (tuple, list):
            assert isinstance(arg, tuple | list)
            return type(arg)([self._as_value(part, inputs) for part in arg])
        return arg

    def value(self, tensor: Tensor) -> Value:
        """What a tensor holds now."""
        known = self._values.get(id(tensor))
        if known is not None and known.ref() is tensor and known.version == tensor._version:
            made = known.operation
            if made is None or made.grad or tensor.grad_fn is None:
                return known
            # made within a torch.autograd.Function, which has a derivative of its own
        value = Value(tensor, time=self.clock)
        self._values[id(tensor)] = value
        return value

    def root(self, tensor: Tensor, bits: int) -> Value:
        """A value of which nothing is known but from which modules it comes; the tensor may go."""
        value = self._mortal(tensor, Value(tensor, bits=bits, time=self.tick()))
        value.leaf = None
        self._values[id(tensor)] = value
        return value


def _is_float(tensor: object) -> bool:
    return isinstance(tensor, Tensor) and tensor.is_floating_point() and not tensor.is_inference()


def _unseen() -> bool:
    """Whether what runs is no part of the model's forward pass."""
    return recomputing() or _functorch.peek_interpreter_stack() is not None


def _random(args: Sequence[object]) -> RandomState | None:
    first = next((arg for arg in args if isinstance(arg, Tensor)), None)
    return None if first is None else RandomState.now(first.device)
