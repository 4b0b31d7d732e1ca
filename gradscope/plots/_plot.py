"""Plot: tables in, a matplotlib Figure out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import pandas as pd
from matplotlib.figure import Figure

from gradscope.components import Component, Kind
from gradscope.errors import NothingToDrawError
from gradscope.plots._axes import plain_ticks
from gradscope.plots._style import NotebookFigure, labelled_again, styled
from gradscope.results.tables import Tables


class Plot(Component):
    """Base of all plots: one question, drawn from tables; tables come in and stay as they are."""

    component_kind: ClassVar[str] = "plot"

    #: tables without which there is nothing to draw
    requires: ClassVar[tuple[str, ...]]
    #: tables of which one is enough
    requires_any: ClassVar[tuple[str, ...]] = ()
    #: heading in the report
    title: ClassVar[str]
    #: the column of ``data`` that lies along the horizontal axis
    over: ClassVar[str]
    #: place among the report's figures, ascending
    order: ClassVar[int] = 1000
    #: whether one model's recordings can be drawn, or only trials that gradscope trained
    of_recordings: ClassVar[bool] = True
    #: options that differ from their defaults in a scope's report
    scope_options: ClassVar[Mapping[str, object]] = MappingProxyType({})
    #: place among the figures that may stand for a run on a page of many, ascending; None: it does
    #: not
    face: ClassVar[int | None] = None

    @classmethod
    def missing(cls, tables: Tables) -> list[str]:
        """What is wanting before it can be drawn, such as "the table 'gates'"."""
        wanting = [f"the table {name!r}" for name in cls.requires if name not in tables]
        if cls.requires_any and not any(name in tables for name in cls.requires_any):
            wanting.append(f"the table {' or '.join(map(repr, cls.requires_any))}")
        return wanting

    @abstractmethod
    def data(self, tables: Tables) -> pd.DataFrame:
        """What is drawn, tidy; empty if the tables hold nothing of it.

        Saved as CSV beside the figure.
        """

    def shown(self, tables: Tables) -> pd.DataFrame:
        """``data``, made once for the same tables: drawing, caption and CSV all need it."""
        options = self.model_dump_json()
        return tables.once((type(self), options), lambda: self.data(tables)).copy(deep=False)

    def in_words(self, tables: Tables) -> str:
        """What stands in the place of the figure where a sentence says all of it; "" elsewhere.

        Such as where every share is 0 or every one is 1.
        """
        return ""

    @abstractmethod
    def draw(self, tables: Tables) -> Figure:
        """The figure, of ``data``."""

    @abstractmethod
    def caption(self, tables: Tables) -> str:
        """What is measured, in what unit, and how lines and bands come about.

        For the reader of these tables: ``tables.words`` has the words that differ between a
        sweep's trials and one model's recordings.
        """

    def figure(self, tables: Tables) -> Figure:
        """The figure, in gradscope's style.

        Raises:
            NothingToDrawError: if something is missing, or no row of the tables can be shown.
        """
        missing = self.missing(tables)
        if missing:
            raise NothingToDrawError(f"it needs {missing[0]}, which was not recorded")
        if self.shown(tables).empty:
            raise NothingToDrawError("nothing was recorded that it could show")
        with styled():
            figure = self.draw(tables)
            plain_ticks(figure)
            labelled_again(figure)
        if isinstance(figure, NotebookFigure):
            figure.description = f"{self.title}. {self.caption(tables)}".strip()
        return figure


#: every plot
PLOTS: Kind[Plot, Plot] = Kind("plot")
register = PLOTS.register
