"""A page in headless Chromium: what it complains of, and what it asks the network for."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

needs_browser = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("GRADSCOPE_REQUIRE_BROWSER"),
    reason="no Chromium here: the report is not looked at in a browser",
)


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
        outside = [url for url in self.requests if not url.startswith(inside)]
        assert outside == [self.page.as_uri()]
        assert self.view.evaluate("document.documentElement.scrollWidth") <= self.width
        assert self.view.evaluate(
            "[...document.images].every(i => i.complete && i.naturalWidth > 0)"
        )
        assert self.complaints == []


@contextmanager
def opened(page: Path, width: int) -> Iterator[Opened]:
    """The page in a window of this width, once its explorer is drawn."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "Chromium is required here and is not installed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            view = browser.new_page(viewport={"width": width, "height": 900})
            shown = Opened(view, width, page)

            def heard(message: Any) -> None:
                if message.type in ("error", "warning"):
                    shown.complaints.append(message.text)

            view.on("console", heard)
            view.on("pageerror", lambda error: shown.complaints.append(str(error)))
            view.on("request", lambda request: shown.requests.append(request.url))
            view.goto(page.as_uri())
            view.wait_for_selector("#explorer .main-svg")
            yield shown
        finally:
            browser.close()
