"""A page in headless Chromium: what it complains of, what it asks for, and who can use it."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def needs_browser(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test of the whole that opens Chromium; skipped, aloud, where there is none."""
    skipped = pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("GRADSCOPE_REQUIRE_BROWSER"),
        reason="no Chromium here: the report is not looked at in a browser",
    )
    return pytest.mark.whole(skipped(test))


@dataclass
class Opened:
    """A page that has been opened."""

    view: Any
    width: int
    page: Path
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def check(self) -> None:
        """No error in the console, no outside request, no sideways scrolling, all pictures."""
        inside = ("data:", "blob:")
        outside = {url.partition("#")[0] for url in self.requests if not url.startswith(inside)}
        assert outside == {self.page.as_uri()}
        assert self.view.evaluate("document.documentElement.scrollWidth") <= self.width
        assert self.view.evaluate(
            "[...document.images].every(i => i.complete && i.naturalWidth > 0)"
        )
        assert self.complaints == []

    def violations(self) -> list[str]:
        """What axe-core objects to, at any level."""
        import axe_playwright_python

        axe = Path(axe_playwright_python.__file__).with_name("axe.min.js")
        self.view.evaluate(axe.read_text(encoding="utf-8"))
        found = self.view.evaluate("axe.run(document)")["violations"]
        return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found]


@contextmanager
def opened(
    page: Path, width: int = 1280, scheme: Literal["light", "dark"] = "light", fragment: str = ""
) -> Iterator[Opened]:
    """The page in a window of this width, once its explorer is drawn, if it has one."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "Chromium is required here and is not installed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            shown = Opened(view, width, page)

            def heard(message: Any) -> None:
                if message.type in ("error", "warning"):
                    shown.complaints.append(message.text)

            view.on("console", heard)
            view.on("pageerror", lambda error: shown.complaints.append(str(error)))
            view.on("request", lambda request: shown.requests.append(request.url))
            view.goto(page.as_uri() + fragment)
            if view.locator(".explorer").count():
                view.wait_for_selector(".explorer[data-ready]")
            yield shown
        finally:
            browser.close()
