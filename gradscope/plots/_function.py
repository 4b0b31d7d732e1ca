"""PlotFunction: a plot as a function of a run."""

from __future__ import annotations

import inspect
from typing import Protocol, runtime_checkable

from matplotlib.figure import Figure

from gradscope.components import name_of, validated
from gradscope.errors import GradscopeError, NothingToDrawError
from gradscope.plots._plot import Plot
from gradscope.results.tables import Tables


@runtime_checkable
class HasTables(Protocol):
    """What a run is to a plot."""

    @property
    def tables(self) -> Tables:
        """All tables of it."""
        ...


@runtime_checkable
class GivesTables(Protocol):
    """What a scope is to a plot."""

    def tables(self) -> Tables:
        """All tables of its recordings."""
        ...


class PlotFunction:
    """Draws one kind of figure: ``gradscope.plots.gates(run)``.

    Args:
        plot: the class that it draws.
    """

    def __init__(self, plot: type[Plot]):
        self.plot = plot
        self.__name__ = self.__qualname__ = name_of(plot)
        self.__doc__ = f"{inspect.getdoc(plot)}\n\n{_options(plot)}"
        self.__signature__ = _signature(plot)

    def __repr__(self) -> str:
        return f"<plot {self.__name__}{self.__signature__}>"

    def __call__(self, run: HasTables | GivesTables | Tables, /, **options: object) -> Figure:
        """The figure.

        Args:
            run: a run, a scope, or tables.
            options: of the plot, as in an experiment file.

        Raises:
            ConfigError: for an option that does not exist, or a wrong value.
            NothingToDrawError: where the run holds nothing of what it shows.
        """
        tables = run if isinstance(run, Tables) else getattr(run, "tables", None)
        if callable(tables):
            tables = tables()
        if not isinstance(tables, Tables):
            raise GradscopeError(
                f"{self.__name__}() takes a run, a scope or tables, got {type(run).__name__}; "
                "gradscope.open_run(path) opens a run"
            )
        usual = {} if tables.words.of_sweep else self.plot.scope_options
        plot = validated(self.plot, {**usual, **options}, owner=f"the plot {self.__name__!r}")
        try:
            return plot.figure(tables)
        except NothingToDrawError as error:
            raise NothingToDrawError(f"{self.__name__} cannot be drawn: {error}") from None


def _signature(plot: type[Plot]) -> inspect.Signature:
    parameter = inspect.Parameter
    options = [
        parameter(
            name,
            parameter.KEYWORD_ONLY,
            default=(
                parameter.empty
                if field.is_required()
                else field.get_default(call_default_factory=True)
            ),
            annotation=field.annotation,
        )
        for name, field in plot.model_fields.items()
    ]
    run = parameter("run", parameter.POSITIONAL_ONLY, annotation="Run | Scope | Tables")
    return inspect.Signature([run, *options], return_annotation=Figure)


def _options(plot: type[Plot]) -> str:
    lines = [f"    {name}: {field.description}." for name, field in plot.model_fields.items()]
    return "\n".join(["Args:", "    run: a run, a scope, or tables.", *lines])
