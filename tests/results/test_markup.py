"""Pieces of HTML for notebooks: escaped, folded where they are long, without own colours."""

import re

import pandas as pd
import pytest

from gradscope.results import markup

RUDE = "<script>\"&'</script>"


def frame_of(rows):
    return pd.DataFrame({"name": [f"row {i}" for i in range(rows)], "n": range(rows)})


def test_every_word_is_escaped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({RUDE: [RUDE], "b": [RUDE]})
    html = markup.card(
        RUDE,
        markup.paragraph(RUDE, name=RUDE),
        markup.points([RUDE]),
        markup.folded(RUDE, ""),
        markup.table(frame, RUDE),
        markup.link(tmp_path / "<b> & c", RUDE),
    )
    assert "<script" not in html
    assert "<b> & c" not in html
    assert 'href="%3Cb%3E%20%26%20c"' in html
    assert html.count("&lt;script&gt;&quot;&amp;&#x27;&lt;/script&gt;") == 10


def test_a_card_names_no_colour_of_a_theme():
    style = re.search("<style>(.*?)</style>", markup.card("x"), re.DOTALL)[1]
    colours = re.findall(r"(?<![-\w])(?:color|background): ([^;]+);", style)
    # an image brings its own ground; all else is the notebook's
    assert sorted(set(colours)) == ["#fff", "inherit", "none"]


def test_headings_of_rows_and_columns_are_marked():
    html = markup.table(frame_of(2), "numbers")
    assert html.count('scope="col"') == html.count('scope="row"') == 2
    assert 'tabindex="0" aria-label="numbers"' in html


@pytest.mark.parametrize("rows", [1, markup.ROWS])
def test_a_short_table_is_shown_whole(rows):
    html = markup.table(frame_of(rows), "numbers")
    assert html.count("<tr>") == rows + 1
    assert "<details>" not in html


def test_a_long_table_is_folded():
    html = markup.table(frame_of(1234), "numbers", shown=frame_of(1234).iloc[[5, 9]])
    shown, whole = html.split("<details>")
    assert re.findall(r"row (\d+)", shown) == ["5", "9"]
    assert "2 of 1,234 rows:" in shown
    assert "<summary>The first 300 of 1,234 rows</summary>" in whole
    assert whole.count('scope="row"') == 300
    first = markup.table(frame_of(40), "numbers").split("<details>")
    assert [part.count('scope="row"') for part in first] == [20, 40]
    assert "<summary>All 40 rows</summary>" in first[1]


def test_many_points_are_folded():
    assert markup.points([]) == ""
    assert "<details>" not in markup.points(["a", "b"], 2)
    shown, folded = markup.points(["a", "b", "c", "d"], 2).split("<details>")
    assert (shown.count("<li>"), folded.count("<li>")) == (2, 2)
    assert "<summary>2 more</summary>" in folded


def test_only_files_below_the_notebook_are_linked(tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert markup.link(here / "a b.html") == f'<a href="a%20b.html">{here}/a b.html</a>'
    assert markup.link(tmp_path / "c.html", "page") == f"<code>{tmp_path}/c.html</code>"
