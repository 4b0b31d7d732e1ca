"""Remedy: one thing to do against a finding."""

from __future__ import annotations

import inspect
from typing import ClassVar

from gradscope.components import Component, Kind
from gradscope.remedies._league import Measured, against_itself, compared
from gradscope.remedies._plan import Plan


class Remedy(Component):
    """Base of all remedies.

    The first sentence of the docstring says what to do, and begins with a verb: it is what a reader
    of a diagnosis is told.

        @register("half_lr")
        class HalfLr(Remedy):
            '''Take half the learning rate.'''

            def apply(self, plan: Plan) -> bool:
                plan.learning_rate /= 2
                return True
    """

    component_kind: ClassVar[str] = "remedy"
    in_runs: ClassVar[bool] = False

    #: classes of cells that it is for; empty is any
    of: ClassVar[tuple[str, ...]] = ()
    #: its label in experiments/fights.yaml, where it was measured, and the one it is compared with
    entrant: ClassVar[str] = ""
    against: ClassVar[str] = ""
    #: what to do where the cell is already of the kind that it puts in; empty is the same
    in_place: ClassVar[str] = ""

    @property
    def what(self) -> str:
        """What to do: the docstring's first sentence, as part of a longer one."""
        sentence = " ".join((inspect.getdoc(type(self)) or self.name).split("\n\n")[0].split())
        return sentence[0].lower() + sentence[1:].removesuffix(".")

    def told(self, cell: str) -> str:
        """What to do, to one who has this class of cell."""
        return self.in_place if self.in_place and "LSTM" in cell else self.what

    def apply(self, plan: Plan) -> bool:
        """Change the plan; False where there is nothing to change.

        Of one that is for the user's own code there is nothing.
        """
        return False

    def suits(self, cell: str) -> bool:
        """Whether it is for this class of cell."""
        return not self.of or cell in self.of

    def measured(self, cell: str = "RNN") -> Measured | None:
        """What gradscope's experiments found of it, against this class of cell as it is.

        None if it was not among them.
        """
        against = against_itself(cell, self.against)
        return compared(self.entrant, against) if self.entrant and self.entrant != against else None


#: every remedy
REMEDIES: Kind[Remedy, Remedy] = Kind("remedy")
register = REMEDIES.register
