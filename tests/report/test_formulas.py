"""Formulas in running text, and the definitions that they stand in."""

from gradscope.report.formulas import pieces, terms, written


def test_subscripts_and_superscripts_are_told_from_names():
    text = "‖∂s_T/∂s_{T-lag}‖ of a_name, J^{⊤}a and tbptt_length"
    assert [(kind, part) for kind, part in pieces(text) if kind != "plain"] == [
        ("sub", "T"),
        ("sub", "T-lag"),
        ("sup", "⊤"),
    ]
    assert "".join(part for _, part in pieces(text)).startswith("‖∂sT/∂sT-lag‖ of a_name, J⊤a")


def test_a_format_escapes_what_is_plain_and_what_is_not():
    found = written("x & s_{a&b}", lambda text: text.replace("&", "+"), "<{}>".format, str)
    assert found == "x + s<a+b>"


def test_definitions_become_pairs():
    html = (
        "<dt>a<sub>t</sub></dt>\n<dd>the <b>adjoint</b>,\n J<sup>⊤</sup> &amp; more</dd><dt>b</dt>"
    )
    assert terms(html) == [("a_{t}", "the adjoint, J^{⊤} & more"), ("b", "")]


def test_what_stands_before_the_first_term_is_left_out():
    assert terms("<p>words</p><dt>a</dt><dd>b</dd>") == [("a", "b")]
