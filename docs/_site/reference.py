"""The pages of the reference, made of the registry, the schema, the commands and the docstrings."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click

import gradscope
from docs._site import docstrings, schema
from gradscope.cli import main
from gradscope.cli._catalogue import first_sentence
from gradscope.cli._json_schema import json_schema
from gradscope.components import marks, registry
from gradscope.experiment.shipped import shipped

#: kind -> heading of its page, and what an experiment file does with it
_KINDS = {
    "cell": ("Cells", "`cell: lstm`, or with options `cell: {name: lstm, hidden_size: 64}`."),
    "init": ("Initialisations", "`cell: {name: rnn, recurrent_init: orthogonal}`."),
    "task": ("Tasks", "`task: {name: adding, length: 50}`."),
    "clip": ("Clips and regularisers", "`clip: {name: global_norm, max_norm: 1.0}`."),
    "optimizer": ("Optimisers", "`optimizer: {name: adam, lr: 1e-3}`."),
    "probe": ("Probes", "`probes: [{name: jacobian_norms, every: 100}]` adds to the defaults."),
    "plot": ("Figures", "`figures: [gradient_vs_lag]`; without it, all that fit are drawn."),
    "finding": ("Findings", "What a diagnosis looks for; the options are its thresholds."),
    "remedy": ("Remedies", "What a finding recommends, and `gradscope diagnose --try` applies."),
}
_YAML = re.compile(r"`([^`]*: [^`]*)`")


@cache
def pages() -> dict[str, str]:
    """Place on the site, below ``reference/``, to the page's Markdown."""
    made = {f"{registry.FOLDERS[kind]}.md": _components(kind) for kind in registry.FOLDERS}
    made["yaml.md"] = schema.page(json_schema())
    made["experiments.md"] = _experiments()
    made["command-line.md"] = _commands()
    return made | {f"python/{stem}.md": text for stem, text in _python().items()}


# --- components -----------------------------------------------------------------------------------


def _components(kind: str) -> str:
    """Every component of a kind with its docstring and its options."""
    title, how = _KINDS[kind]
    found = [(name, registry.get(kind, name)) for name in registry.names(kind)]
    text = [f"# {title}", how, _overview(found)]
    for name, cls in found:
        text += [f"## {name}", docstrings.markdown(cls)]
        if kind == "plot":
            text.append(f"How to read it: [{cls.title}](../figures.md#{name}).")
        if criterion := getattr(cls, "criterion", None):
            text.append(f"**Solved:** {criterion}")
        model = registry.options(cls).model_json_schema()
        options, required = model.get("properties", {}), model.get("required", [])
        shown = schema.table(_components_by_name(options), required) if options else "No options."
        text.append(shown)
    return "\n\n".join(text) + "\n"


def _components_by_name(options: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Options with a reference to its kind in place of one that holds a component."""
    return {
        key: (
            {"$ref": f"#/$defs/{about['x-component']}"}
            | {part: about[part] for part in ("default", "description") if part in about}
            if "x-component" in about
            else about
        )
        for key, about in options.items()
    }


def _overview(found: list[tuple[str, type]]) -> str:
    rows = ["| name | what it is |", "| --- | --- |"]
    for name, cls in found:
        words = docstrings.text(first_sentence(cls).replace("|", "¦")).replace("¦", "\\|")
        rows.append(f"| [`{name}`](#{name}) | {words} |")
    return "\n".join(rows)


def _experiments() -> str:
    """The experiments that come with gradscope, each as its file."""
    text = [
        "# Experiments that come with gradscope",
        "`gradscope run NAME` runs one of them, from any folder; `gradscope run lecture` all of "
        "the lecture.",
    ]
    for name, path in shipped().items():
        if path.is_file():
            words = path.read_text(encoding="utf-8")
            question = marks.read(words, str(path)).get("question", "")
            text += [f"## {name}", docstrings.text(str(question))]
            text.append(f'```yaml title="{Path(name).name}.yaml"\n{words.rstrip()}\n```')
    return "\n\n".join(text) + "\n"


# --- the command line -----------------------------------------------------------------------------


def _commands() -> str:
    """Every command with its usage, its words and its options, as click has them."""
    context = click.Context(main, info_name="gradscope", **main.context_settings)
    text = ["# Command line", "`gradscope COMMAND --help` says the same in the terminal."]
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        usage = command.get_usage(inner).removeprefix("Usage: ")
        text += [f"## gradscope {name}", f"```text\n{usage}\n```"]
        for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
            text.append(docstrings.text(" ".join(paragraph.lstrip("\b\n").split())))
        rows = list(_options(command, inner))
        text.append("\n".join(["| option | what it does |", "| --- | --- |", *rows]))
    return "\n\n".join(text) + "\n"


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record:
            names, words = record
            yield f"| `{names}` | {docstrings.text(' '.join(words.split()))} |".replace(
                "\\|", "&#124;"
            )


# --- Python ---------------------------------------------------------------------------------------

_OPTIONS = "\n".join(
    [
        "    options:",
        "      heading: {name}",
        "      toc_label: {name}",
        "      heading_level: 2",
    ]
)


def _python() -> dict[str, str]:
    """A page for each group of public names, as ``gradscope/__init__.pyi`` groups them."""
    made: dict[str, str] = {}
    groups = _groups()
    listed = ["# Python", "The public names, in the order in which data flows."]
    for title, names in groups.items():
        stem = _stem(title)
        text = [f"# {title[0].upper()}{title[1:]}"]
        for name in names:
            path = dotted(name)
            if path == "gradscope.plots":
                text.append(_plots())
            else:
                text.append(f"::: {path}\n" + _OPTIONS.format(name=f"gradscope.{name}"))
        made[stem] = "\n\n".join(text) + "\n"
        entries = ", ".join(f"[`{name}`]({stem}.md#{anchor(name)})" for name in names)
        listed += [f"## [{title[0].upper()}{title[1:]}]({stem}.md)", entries]
    made["index"] = "\n\n".join(listed) + "\n"
    return made


def _groups() -> dict[str, list[str]]:
    """Heading -> public names, read off the stub's comments and imports."""
    source = Path(gradscope.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    lines = source.splitlines()
    groups: dict[str, list[str]] = {}
    title = ""
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ImportFrom):
            continue
        above = lines[node.lineno - 2]
        if above.startswith("# ") and "ruff" not in above:
            title = above[2:]
        groups.setdefault(title, []).extend(name.asname or name.name for name in node.names)
    return groups


def _stem(title: str) -> str:
    return re.sub(r"\W+", "-", re.split("[:,]", title)[0].strip().lower())


def dotted(name: str) -> str:
    """Where a public name is defined, such as gradscope.dynamics.trace.Trace for Trace."""
    thing = getattr(gradscope, name)
    if inspect.ismodule(thing):
        return thing.__name__
    module = importlib.import_module(thing.__module__)
    assert getattr(module, thing.__qualname__) is thing, name
    return f"{thing.__module__}.{thing.__qualname__}"


def anchor(name: str) -> str:
    """The anchor of a public name on its page."""
    return "gradscopeplots" if name == "plots" else dotted(name)


def places() -> dict[str, str]:
    """``gradscope.NAME`` and ``gradscope COMMAND`` to their places below ``reference/``."""
    found = {
        f"gradscope.{name}": f"python/{_stem(title)}.html#{anchor(name)}"
        for title, names in _groups().items()
        for name in names
    }
    context = click.Context(main, info_name="gradscope", **main.context_settings)
    for name in main.list_commands(context):
        found[f"gradscope {name}"] = f"command-line.html#gradscope-{name}"
    return found


def _plots() -> str:
    names = ", ".join(f"[`{name}`](../../figures.md#{name})" for name in registry.names("plot"))
    return "\n\n".join(
        [
            "## gradscope.plots",
            docstrings.markdown(type("plots", (), {"__doc__": gradscope.plots.__doc__})),
            f"Each is explained with the figure that it draws: {names}.",
        ]
    )
