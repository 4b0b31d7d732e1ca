"""Templates of pages, which share one base; what they are filled with is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from gradscope.report.formulas import written
from gradscope.results.files import write_atomically

#: the file name of every page
PAGE = "index.html"
_HERE = Path(__file__).parent


def write_page(template: Path, folder: Path, content: Mapping[str, object]) -> Path:
    """Fill a template and write it as the folder's ``index.html``; returns the page's path.

    Args:
        template: the file; it may extend and include files beside it, and those of this package.
        folder: where the page goes.
        content: a value for every name in the template.

    Raises:
        jinja2.UndefinedError: for a name in the template without a value.
    """
    page = filled(template, content)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / PAGE, page.encode())
    return folder / PAGE


def filled(template: Path, content: Mapping[str, object]) -> Markup:
    """A template with a value for every name in it; what is not markup is escaped.

    Raises:
        jinja2.UndefinedError: for a name in the template without a value.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, _HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["subscripts"] = subscripts
    return Markup(environment.get_template(template.name).render(content))


def subscripts(text: str) -> Markup:
    """Text as HTML, with the subscripts of formulas such as ``s_T`` and ``s_{T-lag}``.

    Everything else is escaped, labels such as a_b among it.

    >>> subscripts("the loss & s_{T-lag}")
    Markup('the loss &amp; s<sub>T-lag</sub>')
    """
    return Markup(
        written(
            text, lambda part: str(escape(part)), "<sub>{}</sub>".format, "<sup>{}</sup>".format
        )
    )
