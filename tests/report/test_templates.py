"""Templates: one base, strict, escaped."""

import jinja2
import pytest

from gradscope.report.templates import PAGE, subscripts, write_page


@pytest.fixture
def template(tmp_path):
    """Writes a template; gives its path."""

    def write(text, name="mine.html"):
        path = tmp_path / "templates" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_a_page_extends_the_base_and_includes_its_neighbours(template, tmp_path):
    template("<p>neighbour of {{ title }}</p>", "part.html")
    mine = template(
        '{% extends "base.html" %}{% block content %}{% include "part.html" %}'
        '{% include "definitions.html" %}{% endblock %}'
    )
    page = write_page(mine, tmp_path / "deep" / "out", {"title": "A & B"})
    assert page == tmp_path / "deep" / "out" / PAGE
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert "<title>A &amp; B · gradscope</title>" in text
    assert "<h1>A &amp; B</h1>" in text
    assert "<p>neighbour of A &amp; B</p>" in text
    assert "<dt>memory horizon</dt>" in text
    assert "--accent:" in text  # the style sheet is part of the page


def test_what_it_is_filled_with_is_escaped(template, tmp_path):
    mine = template("{{ words }} {{ words | subscripts }}")
    text = write_page(mine, tmp_path, {"words": "<i>s_T</i>"}).read_text()
    assert text == "&lt;i&gt;s_T&lt;/i&gt; &lt;i&gt;s<sub>T</sub>&lt;/i&gt;"


def test_a_name_without_a_value_is_an_error_and_nothing_is_written(template, tmp_path):
    mine = template("{{ forgotten }}")
    with pytest.raises(jinja2.UndefinedError, match="'forgotten' is undefined"):
        write_page(mine, tmp_path / "out", {})
    assert not (tmp_path / "out").exists()


def test_subscripts():
    assert (
        subscripts("‖∂s_T/∂s_{T-lag}‖ & <x> steps_to_solve")
        == "‖∂s<sub>T</sub>/∂s<sub>T-lag</sub>‖ &amp; &lt;x&gt; steps_to_solve"
    )


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("s_0", "s<sub>0</sub>"),
        ("ℓ_t", "ℓ<sub>t</sub>"),
        ("J_{t:k} s_t", "J<sub>t:k</sub> s<sub>t</sub>"),
        ("weight_hh", "weight_hh"),
        ("s_max", "s_max"),
        ("a_b_c", "a_b_c"),
        ("a_b", "a_b"),
        ("x_1", "x_1"),
        ("x_{<}", "x<sub>&lt;</sub>"),
    ],
)
def test_only_a_formula_s_letter_has_a_subscript(text, html):
    assert subscripts(text) == html
