"""The pages' templates: autoescaped, strict, one base for all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from gradscope.results.files import write_atomically

#: the file name of every page
PAGE = "index.html"
_HERE = Path(__file__).parent


def write_page(template: Path, folder: Path, content: Mapping[str, object]) -> Path:
    """Fill a template and write it as the folder's ``index.html``; returns the page's path.

    Args:
        template: a file beside others that it may extend or include; those of this package are
            found by their names.
        folder: to write to.
        content: what the template names.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, _HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["subscripts"] = subscripts
    page = environment.get_template(template.name).render(content)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / PAGE, page.encode())
    return folder / PAGE


def subscripts(text: str) -> Markup:
    """``s_T`` and ``s_{T-lag}`` with real subscripts, everything else escaped.

    Only after a single letter, as in a formula.

    >>> subscripts("the loss & s_{T-lag}")
    Markup('the loss &amp; s<sub>T-lag</sub>')
    """
    formula = r"\b([A-Za-zℓ])_(?:\{([^}]+)\}|([A-Za-z0-9])\b)"
    return Markup(re.sub(formula, r"\1<sub>\2\3</sub>", str(escape(text))))
