"""The site: nothing that exists is missing from it, and nothing is asked of other hosts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
import yaml

import gradscope

pytest.importorskip("mkdocs", reason="the site needs the extra docs")
from docs._site import docstrings, formulas, hooks, notebooks, offline, reference, schema
from gradscope.cli import main
from gradscope.cli._json_schema import json_schema
from gradscope.components import registry
from gradscope.experiment import Experiment
from gradscope.experiment.shipped import shipped
from gradscope.plots import PLOTS

pytestmark = pytest.mark.pages

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
FIGURES = (DOCS / "figures.md").read_text(encoding="utf-8")
#: kinds of gradients that a figure is explained for
KINDS = ("Healthy", "Vanishing", "Exploding", "Chaotic")
#: what an experiment needs beside the lines that a figure is given with
BASE = {"task": {"name": "adding", "length": 12}, "cell": "lstm", "training": {"steps": 3}}
#: bytes of all pictures together
LIMIT = 1_500_000


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return reference.pages()


# --- the gallery ----------------------------------------------------------------------------------


#: plots of runs that are held against each other, which no experiment draws
OF_RUNS = {name for name in registry.names("plot") if "differences" in PLOTS.get(name).requires}


def section(name: str) -> str:
    """What stands under a figure's heading."""
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", FIGURES, re.DOTALL | re.MULTILINE)
    assert found, f"docs/figures.md has no section for the plot {name!r}"
    return found[1]


def test_every_plot_has_a_section_and_no_other_does():
    headings = re.findall(r"^## (\w+)$", FIGURES, re.MULTILINE)
    assert sorted(headings) == registry.names("plot")
    assert headings == sorted(headings)


@pytest.mark.parametrize("name", registry.names("plot"))
def test_a_figure_is_shown_and_explained(name):
    text = section(name)
    assert f"**{PLOTS.get(name).title}.**" in text
    assert f"](gallery/{name}.png)" in text
    assert (DOCS / "gallery" / f"{name}.png").stat().st_size > 5_000, "run make gallery"
    assert "Across" in text or name == "traced_text" or "Left:" in text
    words = text.replace("**Exploding, chaotic.**", "**Exploding.** **Chaotic.**")
    assert name in OF_RUNS or all(f"**{kind}.**" in words for kind in KINDS)


@pytest.mark.parametrize("name", sorted(set(registry.names("plot")) - OF_RUNS))
def test_a_figures_lines_draw_it(name):
    blocks = re.findall(r"^```yaml\n(.*?)^```$", section(name), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1
    experiment = Experiment.parse(yaml.safe_dump(BASE | yaml.safe_load(blocks[0])), f"{name}.yaml")
    assert experiment.trials
    figures = experiment.header.figures
    assert figures is not None
    assert [figure.name for figure in figures] == [name]


def test_pictures_are_small_and_their_runs_are_experiments():
    assert sum(path.stat().st_size for path in (DOCS / "gallery").glob("*.png")) < LIMIT
    for path in (DOCS / "gallery").glob("*.yaml"):
        assert Experiment.parse(path.read_text(encoding="utf-8"), path.name).trials


# --- the reference --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", registry.FOLDERS)
def test_every_component_and_option_is_in_the_reference(kind, pages):
    page = pages[f"{registry.FOLDERS[kind]}.md"]
    parts = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE))
    assert list(parts) == registry.names(kind)
    for name, text in parts.items():
        cls = registry.get(kind, name)
        assert all(f"| `{option}` |" in text for option in registry.options(cls).model_fields)
        if "Reference:" in (cls.__doc__ or ""):
            assert "**Reference:**" in text


def test_every_key_of_an_experiment_file_is_in_the_reference(pages):
    made = json_schema()
    assert all(f"| `{key}` |" in pages["yaml.md"] for key in made["properties"])
    for section_ in ("ModelSection", "TrainingSection", "EvaluationSection", "Expectation"):
        for key in made["$defs"][section_]["properties"]:
            assert f"| `{key}` |" in pages["yaml.md"]


def test_every_command_and_option_is_in_the_reference(pages):
    context = click.Context(main, **main.context_settings)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert f"## gradscope {name}\n" in pages["command-line.md"]
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.opts[0] in pages["command-line.md"]


def test_every_public_name_is_in_the_reference_once(pages):
    python = "".join(text for uri, text in pages.items() if uri.startswith("python/"))
    for name in set(gradscope.__all__) - {"plots", "__version__"}:
        assert python.count(f"::: {reference.dotted(name)}\n") == 1, name


def test_every_shipped_experiment_is_in_the_reference(pages):
    files = [name for name, path in shipped().items() if path.is_file()]
    assert re.findall(r"^## (\S+)$", pages["experiments.md"], re.MULTILINE) == files


def test_what_a_key_takes_is_in_words():
    about = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}]}
    assert schema.takes(about) == "number, > 0 or `null`"
    assert schema.takes({"$ref": "#/$defs/init"}) == "an [init](inits.md)"
    assert schema.takes({"enum": ["a", "b"]}) == "`a`, `b`"
    assert schema.takes({"type": "array", "items": {"type": "integer"}}) == "a list: integer"


def test_a_docstring_as_markdown():
    class Shown:
        """A sentence with a_t * b_t and ``code_t``.

            c = f(a)

            d = g(c)

        Columns:
            first: what it is,
                continued
            second: another

        Reference: somebody (2000).
        """

    assert docstrings.markdown(Shown) == (
        "A sentence with a\\_t \\* b\\_t and `code_t`.\n\n```text\nc = f(a)\n\nd = g(c)\n```\n\n"
        "**Columns:**\n\n- `first`: what it is, continued\n- `second`: another\n\n"
        "**Reference:** somebody (2000)."
    )


# --- formulas, notebooks, other hosts -------------------------------------------------------------


def test_formulas_become_mathml():
    page = '<p>So <span class="arithmatex">\\(a &lt; b\\)</span>.</p>'
    shown = formulas.with_mathml(page)
    assert "<math" in shown
    assert "arithmatex" not in shown
    with pytest.raises(ValueError, match=r"\\nonsense"):
        formulas.with_mathml('<div class="arithmatex">\\[\\nonsense{x}\\]</div>')


TUTORIAL = """# Title

```yaml
# my.yaml
a: 1
```

Words.

```yaml
shown: only
```

```bash
ls
```

```python
print("a")
```
"""


def test_a_page_as_a_notebook():
    kinds = [(cell.cell_type, cell.source) for cell in notebooks.notebook(TUTORIAL).cells]
    assert kinds[1:] == [
        ("markdown", "# Title"),
        ("code", "%%writefile my.yaml\n# my.yaml\na: 1"),
        ("markdown", "Words.\n\n```yaml\nshown: only\n```"),
        ("code", "%%bash\nls"),
        ("code", 'print("a")'),
    ]


def test_outputs_stand_below_their_cells():
    made = notebooks.notebook(TUTORIAL)
    streams = [("stdout", "<a>"), ("stderr", "progress"), ("stdout", "\n")]
    made.cells[-1]["outputs"] = [
        notebooks.new_output("stream", name=name, text=text) for name, text in streams
    ]
    shown = notebooks.shown(TUTORIAL, made, "page")
    assert list(shown.outputs.values()) == ['<div class="output"><pre>&lt;a&gt;\n</pre></div>']
    assert shown.markdown.index('print("a")') < shown.markdown.index('id="output-0"')
    assert '```yaml title="my.yaml"\na: 1' in shown.markdown
    assert "(page.ipynb)" in shown.markdown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>'),
        ("a.html", '<link rel="stylesheet" href="//fonts.example/x.css">'),
        ("a.html", "<style>a { background: url(https://example.org/x.png) }</style>"),
        ("a.css", "@import 'https://example.org/x.css';"),
        ("a.js", 'fetch("https://example.org/data")'),
    ],
)
def test_what_would_be_loaded_from_another_host_is_found(name, text, tmp_path):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert len(offline.outside(tmp_path)) == 1


def test_links_and_own_files_are_no_loads(tmp_path):
    page = '<a href="https://a.b">there</a><img src="c.png"><link rel="canonical" href="//a.b">'
    (tmp_path / "a.html").write_text(page, encoding="utf-8")
    assert offline.outside(tmp_path) == []


def test_the_citation_is_of_this_version():
    version = gradscope.__version__
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    page = (DOCS / "verify_and_cite.md").read_text(encoding="utf-8")
    assert f"version = {{{version}}}" in page


def test_referees_that_are_named_exist():
    page = (DOCS / "verify_and_cite.md").read_text(encoding="utf-8")
    for place in re.findall(r"`(tests/[^`]*)`", page):
        assert (ROOT / place).exists(), place


def test_a_notebook_is_plain_json():
    made = notebooks.notebook(TUTORIAL)
    assert json.loads(notebooks.nbformat.writes(made))["nbformat"] == 4


# --- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "page", "on_site"),
    [
        ("../CONTRIBUTING.md", "components.md", "contributing.md"),
        ("../../CONTRIBUTING.md", "tutorials/add_a_cell.md", "../contributing.md"),
        ("../reports/gallery/attached.png", "your_model.md", "reports/attached.png"),
        ("docs/components.md", "contributing.md", "components.md"),
        ("reports.md", "experiments.md", "reports.md"),
        ("https://example.org/a.md", "experiments.md", "https://example.org/a.md"),
    ],
)
def test_links_of_the_repository_lead_to_the_same_page_of_the_site(target, page, on_site):
    assert hooks._on_site(target, page) == on_site


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("<p><code>gradscope.attach(model)</code></p>", "gradscope.attach"),
        ("<p><code>gradscope run lecture</code></p>", "gradscope run"),
        ("<pre><code>gradscope run lecture\n</code></pre>", None),
        ('<a href="#x"><code>gradscope.attach</code></a>', None),
    ],
)
def test_code_that_names_something_public_is_found(code, name):
    found = hooks._CODE.search(code)
    assert (found[1] if found else None) == name
    assert name is None or name in reference.places()
