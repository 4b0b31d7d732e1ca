"""Place: where in a model a recurrence runs, and what it is called."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Place:
    """A module, a layer and direction of it, and which of several stretches.

    >>> str(Place("encoder.lstm", "lstm", layer=1, reverse=True))
    'encoder.lstm.l1_reverse'

    Attributes:
        module: its name in ``model.named_modules()``; "" is the model itself.
        kind: what the module is, in lower case.
        layer: from 0, of a module with several layers or directions; None of any other.
        reverse: whether it is the direction that reads from the end.
        along_depth: whether its steps are layers and not time.
        loop: whether its steps are calls of a module on its own output, found without being told.
        stretch: from 1, where the recurrence falls into stretches whose states are not connected;
            None where it is one.
    """

    module: str
    kind: str
    layer: int | None = None
    reverse: bool = False
    along_depth: bool = False
    loop: bool = False
    stretch: int | None = None

    @property
    def suffix(self) -> str:
        """torch's name of the layer and direction, such as ``l1_reverse``; "" where it has none."""
        if self.layer is None:
            return ""
        return f"l{self.layer}" + ("_reverse" if self.reverse else "")

    @property
    def owner(self) -> str:
        """The module's name; its kind where the model itself is the module."""
        return self.module or self.kind

    @property
    def recurrence(self) -> str:
        """The name without the stretch."""
        parts = (self.module, self.suffix, "depth" if self.along_depth else "")
        return ".".join(part for part in parts if part) or self.kind

    def __str__(self) -> str:
        stretch = "" if self.stretch is None else f" ({self.stretch})"
        return self.recurrence + stretch

    @property
    def reads_inputs(self) -> bool:
        """Whether it reads the module's own inputs, one at each step, and not another layer."""
        return self.layer in (None, 0) and not self.loop

    @property
    def below(self) -> Place | None:
        """The same direction of the layer below; None where there is none."""
        return replace(self, layer=self.layer - 1) if self.layer else None

    def in_stretch(self, index: int, count: int) -> Place:
        """The stretch at ``index``, from 0, of ``count``."""
        return replace(self, stretch=index + 1 if count > 1 else None)
