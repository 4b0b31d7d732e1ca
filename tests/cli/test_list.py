"""gradscope list."""

import json
import re

from gradscope.components import registry
from tests.cli.conftest import invoke, refused


def test_everything_is_named_once():
    text = invoke("list").output
    for kind in registry.FOLDERS:
        for name in registry.names(kind):
            assert re.search(rf"\b{name}\b", text)
    assert re.search(r"\bquickstart\b", text)


def test_one_component_in_full():
    text = invoke("list", "cells", "lstm").output
    assert "forget_bias: float | None = null" in text
    assert "Hochreiter" in text


def test_components_of_ones_own(plugin):
    assert "nothing_at_all" not in invoke("list", "clip").output
    text = invoke("list", "clip", "--with", plugin).output
    assert "  nothing_at_all       Sets every gradient to zero." in text


def test_bad_input():
    assert "did you mean 'cell'" in refused("list", "cel")
    assert "did you mean 'lstm'" in refused("list", "cell", "lstn")
    assert "did you mean 'quickstart'" in refused("list", "experiment", "quickstrt")


def test_any_name_without_its_kind():
    assert invoke("list", "lstm").output.startswith("cell lstm\n")
    assert "key training\n" in invoke("list", "training").output
    assert "did you mean 'lstm' (cell)" in refused("list", "lstn")


def test_for_machines():
    (one,) = json.loads(invoke("list", "cell", "lstm", "--json").output)
    assert (one["kind"], one["name"]) == ("cell", "lstm")


def test_it_fits_the_terminal(monkeypatch):
    for width in (70, 90):
        monkeypatch.setenv("COLUMNS", str(width))
        longest = max(map(len, invoke("list", "plot").output.splitlines()))
        assert width - 8 <= longest <= width
