"""The explorer within a cell: in frames, in both themes, as high as it is, and as a page."""

import html
import re

import pytest
import torch

import gradscope
from gradscope.errors import GradscopeError, NothingToDrawError
from gradscope.results.tables import Tables
from tests.browser import needs_browser, opened
from tests.results.test_markup import RUDE

pytestmark = pytest.mark.whole

THEMES = {"light": ("#ffffff", "#202124"), "dark": ("#111111", "rgba(255, 255, 255, 0.87)")}


@pytest.fixture(scope="module")
def run(tiny_run):
    return gradscope.open_run(tiny_run)


@pytest.fixture
def scope():
    torch.manual_seed(0)
    model = torch.nn.LSTM(3, 5)
    scope = gradscope.attach(model)
    with scope.record():
        model(torch.randn(12, 2, 3))[0][-1].sum().backward()
    return scope


def notebook(folder, theme, *objects):
    """A page that holds what the objects show, as a notebook of that theme does."""
    paper, ink = THEMES[theme]
    cells = "".join(f"<div>{one._repr_html_()}</div>" for one in objects)
    page = folder / "notebook.html"
    page.write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>notebook</title>'
        f'<link rel="icon" href="data:,"><style>body {{ background: {paper}; color: {ink} }}'
        f"</style></head><body><main><h1>A notebook</h1>{cells}</main></body></html>"
    )
    return page


def frames(view):
    """The frames' pages, once their explorers are drawn."""
    found = view.frames[1:]
    for frame in found:
        frame.wait_for_selector(".explorer[data-ready]")
    return found


def test_a_name_does_not_leave_the_frame(run):
    shown = gradscope.explorer(run.tables, title=f'"></iframe>{RUDE}')._repr_html_()
    assert shown.count("<iframe") == 1
    assert shown.endswith('"></iframe>')
    attributes = re.fullmatch(
        r'<iframe title="([^"]*)" data-fit width=.* srcdoc="([^"]*)"></iframe>', shown, re.DOTALL
    )
    assert html.unescape(attributes[1]) == f'Explorer: "></iframe>{RUDE}'
    page = html.unescape(attributes[2])
    assert page.count("<script>&#34;") == 0
    assert "&lt;script&gt;&#34;&amp;" in page
    assert "data-fragment" not in re.search('<section class="explorer"[^>]*>', page)[0]


def test_it_holds_less_than_a_report_unless_more_is_asked_for(run):
    few, many = (len(gradscope.explorer(run, megabytes=m)._repr_html_()) for m in (0.05, 2))
    assert few < many
    assert "Of this large run it holds" in gradscope.explorer(run, megabytes=0.05)._repr_html_()
    assert "Of this large run it holds" not in gradscope.explorer(run)._repr_html_()


def test_what_cannot_be_explored(run):
    with pytest.raises(NothingToDrawError, match="one of the probes jacobian_norms, adjoint_norms"):
        gradscope.explorer(Tables({}, []))
    with pytest.raises(GradscopeError, match="takes a run, a scope or tables, got str"):
        gradscope.explorer("reports/quickstart")
    with pytest.raises(GradscopeError, match="height should be above 0"):
        gradscope.explorer(run, height=0)
    for megabytes in (0, float("nan")):
        with pytest.raises(GradscopeError, match="megabytes should be above 0"):
            gradscope.explorer(run, megabytes=megabytes)
    with pytest.raises(GradscopeError, match="nothing is recorded yet"):
        gradscope.explorer(gradscope.attach(torch.nn.LSTM(2, 2)))


def test_in_words(run, scope):
    assert repr(gradscope.explorer(run)).startswith("Explorer('tiny': a notebook shows it")
    assert repr(gradscope.explorer(scope)).startswith("Explorer('LSTM'")
    assert 'height="333"' in gradscope.explorer(run, height=333)._repr_html_()


def test_of_a_scope_all_is_measured_that_a_report_shows(scope):
    assert "jacobian_norms" not in scope.tables()
    shown = gradscope.explorer(scope)
    assert {"jacobian_norms", "adjoint_norms", "spectra"} <= set(shown.tables)
    assert scope.tables()["jacobian_norms"].equals(shown.tables["jacobian_norms"])


def test_what_could_not_be_measured_is_named(scope, monkeypatch):
    monkeypatch.setattr(type(scope), "left_out", ["not measured: gates: <no> time"])
    shown = gradscope.explorer(scope)
    assert '<p class="problem">Not measured: gates: &lt;no&gt; time</p>' in html.unescape(
        shown._repr_html_()
    )


def test_saving(run, tmp_path):
    page = gradscope.explorer(run, title="mine").save(tmp_path / "new" / "mine.html")
    assert page == tmp_path / "new" / "mine.html"
    assert "<h1>mine</h1>" in page.read_text(encoding="utf-8")
    with pytest.raises(GradscopeError, match="is a directory; give a file"):
        gradscope.explorer(run).save(tmp_path)


@needs_browser
def test_a_saved_page_keeps_the_selection_in_its_address(run, tmp_path):
    page = gradscope.explorer(run).save(tmp_path / "explorer.html")
    with opened(page) as shown:
        assert shown.violations() == []
        shown.view.locator("[data-track=k] input").press("End")
        assert "k=" in shown.view.evaluate("location.hash")
        shown.check()


@needs_browser
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_frames_follow_the_notebook_and_not_the_system(run, scope, theme, scheme, tmp_path):
    objects = (run, scope, scope.diagnose(), run.tables, gradscope.explorer(run))
    page = notebook(tmp_path, theme, *objects)
    with opened(page, 1000, scheme) as shown:
        (frame,) = frames(shown.view)
        light = frame.evaluate("getComputedStyle(document.body).backgroundColor")
        assert light == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 28)"}[theme]
        shown.check()
        # last, as axe sends the frame messages of which the browser complains
        assert shown.violations() == []


@needs_browser
def test_a_changed_theme_is_followed(run, tmp_path):
    with opened(notebook(tmp_path, "light", gradscope.explorer(run)), 1000) as shown:
        (frame,) = frames(shown.view)
        ink = "document.querySelector('.explorer canvas').getContext('2d').font"
        assert frame.evaluate(ink)
        before = frame.locator("[data-panel=map] canvas").screenshot()
        shown.view.evaluate("document.body.style = 'background: #111; color: #eee'")
        frame.wait_for_function("document.documentElement.style.colorScheme === 'dark'")
        assert frame.locator("[data-panel=map] canvas").screenshot() != before
        shown.check()


@needs_browser
def test_several_on_a_page_are_used_by_themselves(run, scope, tmp_path):
    page = notebook(
        tmp_path, "light", gradscope.explorer(run), gradscope.explorer(scope, height=420)
    )
    with opened(page, 1000) as shown:
        view = shown.view
        first, second = frames(view)
        readouts = [frame.locator(".readout") for frame in (first, second)]
        others = readouts[1].text_content()
        first.locator("[data-track=k] input").press("ArrowRight")
        assert "∂h_1‖" in readouts[0].text_content()
        assert readouts[1].text_content() == others
        # an address within a notebook is the notebook's
        assert view.evaluate("location.hash") == ""
        canvas = second.locator("[data-panel=map] canvas")
        canvas.scroll_into_view_if_needed()
        canvas.hover(position={"x": 90, "y": 60})
        assert "lag" in second.locator(".tip").text_content()
        # the first is as high as what it holds, the second as it was asked to be
        heights = view.evaluate("[...document.querySelectorAll('iframe')].map(f => f.clientHeight)")
        inner = first.evaluate("document.documentElement.scrollHeight")
        assert heights == [inner, 420]
        assert first.evaluate("innerHeight >= document.documentElement.scrollHeight")
        shown.check()


@needs_browser
def test_a_frame_is_entered_and_left_by_the_tab_key(run, tmp_path):
    page = notebook(tmp_path, "light", gradscope.explorer(run))
    after = '<a href="#x" id="after">after</a></main></body>'
    page.write_text(page.read_text().replace("</main></body>", after))
    with opened(page, 1000) as shown:
        (frame,) = frames(shown.view)
        reached = set()
        for _ in range(40):
            shown.view.keyboard.press("Tab")
            if shown.view.evaluate("document.activeElement.id") == "after":
                break
            reached.add(
                frame.evaluate("document.activeElement.closest('[data-track]')?.dataset.track")
            )
        else:
            pytest.fail("the frame is not left")
        assert {"step", "t", "k"} <= reached
