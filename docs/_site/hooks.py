"""What mkdocs calls while it builds the site."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from posixpath import dirname, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from docs._site import formulas, notebooks, reference  # noqa: E402 - found by the line above

#: pages and pictures beside docs/ that its pages link: place in the repository to place on the site
_BESIDE = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    "CITATION.cff": "CITATION.cff",
    **{
        f"reports/gallery/{path.name}": f"reports/{path.name}"
        for path in (ROOT / "reports" / "gallery").glob("*.png")
    },
}
_LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)]*)?\))")
#: code in running text that names something public; not a block of code, nor a link's text
_CODE = re.compile(
    r"(?<!<pre>)(?<!</span>)(?<!\">)<code>(gradscope[. ][a-z_.A-Z]+)((?:\(| )[^<\n]*)?</code>"
)

#: whether notebooks are run; GRADSCOPE_SITE_NOTEBOOKS=off leaves their outputs out, for drafts
_RUN = os.environ.get("GRADSCOPE_SITE_NOTEBOOKS") != "off"

_outputs: dict[str, dict[str, str]] = {}
_markdown: dict[str, str] = {}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The reference's pages stand in the navigation."""
    places = {uri: text.split("\n", 1)[0].lstrip("# ") for uri, text in reference.pages().items()}
    kinds = [uri for uri in places if "/" not in uri]
    groups = [uri for uri in places if uri.startswith("python/") and uri != "python/index.md"]
    written = ["yaml.md", "command-line.md", "experiments.md"]
    kinds = [*written, *(uri for uri in kinds if uri not in written)]
    entries = [{places[uri]: f"reference/{uri}"} for uri in kinds]
    python = [{re.split("[:,]", places[uri])[0]: f"reference/{uri}"} for uri in groups]
    assert config.nav is not None
    here = next(entry for entry in config.nav if "Reference" in entry)
    here["Reference"] = [
        "reference/index.md",
        *entries,
        {"Python": ["reference/python/index.md", *python]},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is generated, what lies beside docs/, and what the notebooks draw."""
    for uri, text in reference.pages().items():
        files.append(File.generated(config, f"reference/{uri}", content=text))
    for source, uri in _BESIDE.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / source)))
    for file in [f for f in files if f.src_uri.startswith("tutorials/") and _RUN]:
        if file.is_documentation_page() and file.name != "index":
            _add_notebook(file, files, config)
    return files


def _add_notebook(file: File, files: Files, config: MkDocsConfig) -> None:
    """Run a tutorial; keep its outputs for its page, and offer it as a notebook."""
    path = Path(file.abs_src_path or "")
    try:
        made = notebooks.executed(path)
    except RuntimeError as error:
        raise PluginError(str(error)) from None
    shown = notebooks.shown(path.read_text(encoding="utf-8"), made, path.stem)
    _markdown[file.src_uri], _outputs[file.src_uri] = shown.markdown, shown.outputs
    for name, content in shown.images.items():
        files.append(File.generated(config, f"tutorials/{name}", content=content))
    text = notebooks.nbformat.writes(made)
    files.append(File.generated(config, f"tutorials/{path.stem}.ipynb", content=text))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links that leave docs/ lead to the same page on the site; a notebook has its outputs."""
    text = _markdown.get(page.file.src_uri, markdown)
    if page.file.src_uri == "reference/index.md":
        text += "\n" + _contents()
    return _LINK.sub(lambda link: link[1] + _on_site(link[2], page.file.src_uri) + link[3], text)


def _contents() -> str:
    """The generated pages, as a list."""
    titles = {uri: text.split("\n", 1)[0].lstrip("# ") for uri, text in reference.pages().items()}
    return "\n".join(
        f"- [{title}]({uri})"
        for uri, title in titles.items()
        if "python/" not in uri or uri == "python/index.md"
    )


def _on_site(target: str, uri: str) -> str:
    """A link's target as seen from the page's place on the site."""
    if "://" in target:
        return target
    beside = {site: source for source, site in _BESIDE.items()}
    here = ROOT / beside.get(uri, f"docs/{uri}")
    try:
        source = (here.parent / target).resolve().relative_to(ROOT).as_posix()
    except ValueError:
        return target
    site = _BESIDE.get(source) or (source.removeprefix("docs/") if uri in beside else None)
    return relpath(site, dirname(uri) or ".") if site else target


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Formulas as MathML, outputs below their cells, names linked to the reference."""
    try:
        html = formulas.with_mathml(html)
    except ValueError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from None
    for mark, output in _outputs.get(page.file.src_uri, {}).items():
        html = html.replace(f'<div id="{mark}"></div>', output)
    if page.file.src_uri.startswith("reference/python"):
        return html
    return _CODE.sub(lambda code: _linked(code, page), html)


_places = reference.places()


def _linked(code: re.Match[str], page: Page) -> str:
    """Code that names a function or a command, as a link to its place in the reference."""
    place = _places.get(code[1])
    if place is None:
        return code[0]
    here = relpath("reference", dirname(page.file.src_uri) or ".")
    return f'<a class="name" href="{here}/{place}">{code[0]}</a>'


def on_post_build(config: MkDocsConfig) -> None:
    """The search's index also as a script, which a page that was opened as a file may load."""
    index = Path(config.site_dir) / "search" / "search_index.json"
    script = f"var __index = {index.read_text(encoding='utf-8')}"
    index.with_suffix(".js").write_text(script, encoding="utf-8")
