"""That a built site asks nothing of another host.

    python -m docs._site.offline build/site

Every page, style sheet and script is searched for what a browser would load by itself. The theme's
own script names two hosts, for diagrams and for repositories; it asks neither, as no page has a
diagram and no repository is named, and that is checked too.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

#: attributes whose address a browser loads without being asked, by element
_LOADS = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "object": ("data",),
    "embed": ("src",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
}
#: kinds of <link> that load something
_LINKS = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
}
_OUTSIDE = re.compile(r"^\s*(https?:)?//", re.IGNORECASE)
_IN_STYLES = re.compile(r"(?:url\(\s*[\"']?|@import\s+[\"'])(?:https?:)?//[^)\"']*", re.IGNORECASE)
#: hosts that a script names, and what it would need in a page to ask them
_NAMED = re.compile(r"[\"'`](https?://(?!(?:www\.)?w3\.org)[^\"'`\s]+)")
_UNUSED = {
    "https://unpkg.com/mermaid": "mermaid",
    "https://unpkg.com/resize-observer-polyfill": "",  # every browser of today has its own
    "https://api.github.com": "md-source",
    "https://${e}/api/v4": "md-source",
}


class _Page(HTMLParser):
    """What a page loads from another host, and the classes that its elements have."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.classes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at an element's attributes."""
        values = {key: value or "" for key, value in attrs}
        self.classes |= set(values.get("class", "").split())
        names = _LOADS.get(tag, ())
        if tag == "link" and _LINKS & set(values.get("rel", "").split()):
            names = ("href",)
        self.outside += [values[n] for n in names if _OUTSIDE.match(values.get(n, ""))]
        self.outside += _IN_STYLES.findall(values.get("style", ""))


def outside(site: Path) -> list[str]:
    """Whatever of a site would be loaded from another host, as ``file: address``."""
    found: list[str] = []
    classes: set[str] = set()
    for path in sorted(site.rglob("*.html")):
        page = _Page()
        text = path.read_text(encoding="utf-8")
        page.feed(text)
        classes |= page.classes
        addresses = page.outside + [
            address
            for style in re.findall(r"<style.*?</style>", text, re.DOTALL)
            for address in _IN_STYLES.findall(style)
        ]
        found += [f"{path.relative_to(site)}: {address}" for address in addresses]
    for path in sorted(site.rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        found += [f"{path.relative_to(site)}: {url}" for url in _IN_STYLES.findall(text)]
    for path in sorted(site.rglob("*.js")):
        for address in _NAMED.findall(path.read_text(encoding="utf-8")):
            needs = next((n for start, n in _UNUSED.items() if address.startswith(start)), None)
            if needs is None or needs in classes:
                found.append(f"{path.relative_to(site)}: {address}")
    return found


if __name__ == "__main__":
    loaded = outside(Path(sys.argv[1]))
    if loaded:
        sys.exit("the site would ask other hosts:\n" + "\n".join(loaded))
