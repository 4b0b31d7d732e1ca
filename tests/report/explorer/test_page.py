"""The explorer as it is used: chosen, stepped through, played, pointed at, typed to, linked to."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from gradscope.report.explorer import explorer_html
from gradscope.report.explorer.page import script
from gradscope.report.templates import write_page
from gradscope.results.tables import Tables
from tests.browser import needs_browser, opened
from tests.plots.conftest import made

pytestmark = pytest.mark.whole

LAST = 20
#: a configuration's name as somebody might write it
RUDE = "</script><b>bold</b>"


def norms_of(configuration, step, rate):
    t, k = np.tril_indices(LAST + 1)
    return pd.DataFrame(
        {
            "configuration": configuration,
            "train_step": step,
            "t": np.tile(t, 2),
            "k": np.tile(k, 2),
            "sequence": 0,
            "block": np.repeat(["state", "hidden"], len(t)),
            "log_spectral_norm": np.tile(rate * (t - k), 2),
            "log_frobenius_norm": np.tile(rate * (t - k) + 1.0, 2),
        }
    )


@pytest.fixture(scope="module")
def tables() -> Tables:
    """One that goes on to step 100, and one that diverged at 50."""
    norms = pd.concat(
        [norms_of("good", step, -0.01 * (step + 1)) for step in (0, 10, 40, 100)]
        + [norms_of(RUDE, step, 0.5) for step in (0, 40)]
    )
    adjoints = norms[(norms["t"] == LAST) & (norms["block"] == "state")]
    return made(
        jacobian_norms=norms.to_dict("list"),
        adjoint_norms={
            **adjoints[["configuration", "train_step", "block"]].to_dict("list"),
            "t": adjoints["k"].tolist(),
            "time": LAST,
            "log_norm": (adjoints["log_spectral_norm"] - 7.25).tolist(),
            "tbptt_length": 0,
        },
        spectra={
            "configuration": "good",
            "kind": ["jacobian", "jacobian", "recurrent_matrix"],
            "matrix": ["", "", "h"],
            "t": [LAST, LAST, -1],
            "k": [LAST - 1, LAST - 1, -1],
            "index": [0, 1, 0],
            "real": [0.5, 0.5, 0.75],
            "imag": [0.25, -0.25, 0.0],
            "log_value": math.nan,
        },
        trials={
            "configuration": ["good", RUDE],
            "outcome": ["unsolved", "diverged"],
            "steps": [100, 50],
        },
    )


@pytest.fixture(scope="module")
def explorer(tables, tmp_path_factory):
    """A page with nothing but an explorer."""
    folder = tmp_path_factory.mktemp("explorer")
    template = folder / "alone.html"
    template.write_text('{% extends "base.html" %}{% block content %}{{ explorer }}{% endblock %}')
    content = {"title": "explorer", "explorer": explorer_html(tables)}
    return write_page(template, folder, content)


def chosen(view, name):
    return view.locator(f"[data-choice={name}] option:checked").text_content()


def train_step(view):
    return view.locator("[data-track=step] output").text_content()


def readout(view):
    return view.locator(".readout").text_content()


def point(view, panel, x, y):
    """Move the pointer to a place in a panel, in shares of its box."""
    canvas = view.locator(f"[data-panel={panel}] canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    view.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])


def test_it_is_one_offline_piece_of_modest_size(tables):
    html = explorer_html(tables)
    assert html is not None
    assert "</script><b>" not in html
    assert not re.search(r"https?://", html)
    assert len(script()) < 100_000
    # whoever reads the page's source finds a name in JSON alone
    assert html.count("bold") == 1


def test_of_nothing_there_is_none():
    assert explorer_html(Tables({}, [])) is None


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_whole_at_every_width_and_in_both_schemes(explorer, width, scheme, tmp_path):
    with opened(explorer, width, scheme) as shown:
        shown.check()
        assert shown.violations() == []
        canvases = shown.view.locator(".panel canvas")
        assert canvases.count() == 4
        for place in range(4):
            box = canvases.nth(place).bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            canvases.nth(place).scroll_into_view_if_needed()
            assert len(canvases.nth(place).screenshot()) > 1500
        shown.view.screenshot(path=str(tmp_path / "explorer.png"), full_page=True)


@needs_browser
def test_it_opens_at_the_end_of_training(explorer):
    with opened(explorer) as shown:
        view = shown.view
        assert chosen(view, "configuration") == "good"
        assert train_step(view) == "train step 100"
        assert readout(view).startswith("ln ‖∂h_20/∂h_0‖ spectral −20.2 nats")
        assert "Frobenius −19.2 nats" in readout(view)
        assert "ln ‖dL/ds_0‖ −27.45 nats" in readout(view)


@needs_browser
def test_choosing_and_stepping_by_keyboard_moves_all_panels(explorer):
    with opened(explorer) as shown:
        view = shown.view
        slider = view.locator("[data-track=step] input")
        slider.focus()
        slider.press("ArrowLeft")  # to the step measured before, wherever it lies
        assert train_step(view) == "train step 40"
        assert "spectral −8.2 nats" in readout(view)
        slider.press("Home")
        assert "spectral −0.2 nats" in readout(view)
        view.locator("[data-track=k] input").focus()
        view.keyboard.press("End")
        view.keyboard.press("ArrowLeft")
        assert readout(view).startswith("ln ‖∂h_20/∂h_19‖ spectral −0.01 nats")
        view.locator("[data-track=t] input").focus()
        view.keyboard.press("Home")
        assert readout(view).startswith("ln ‖∂h_0/∂h_0‖ spectral 0 nats")
        view.locator("[data-choice=block]").select_option(label="full state s")
        assert readout(view).startswith("ln ‖∂s_0/∂s_0‖")
        shown.check()


@needs_browser
def test_every_control_is_reached_by_the_tab_key(explorer):
    with opened(explorer) as shown:
        view = shown.view
        controls = view.locator(
            ".explorer select:visible, .explorer button:visible, .explorer input:enabled:visible"
        )
        view.evaluate("document.querySelector('.skip').focus()")
        reached = set()
        for _ in range(controls.count() + 3):
            view.keyboard.press("Tab")
            reached.add(
                view.evaluate(
                    "(e => e.dataset.choice ?? e.closest('[data-track]')?.dataset.track"
                    " ?? (e.dataset.play === undefined ? '' : 'play'))(document.activeElement)"
                )
            )
        assert len(reached - {""}) == controls.count() >= 10


@needs_browser
def test_what_is_older_than_the_chosen_step_looks_so(explorer):
    with opened(explorer) as shown:
        view = shown.view
        panel = view.locator("[data-panel=map]")
        assert "carried" not in panel.get_attribute("class")
        view.locator("[data-choice=configuration]").select_option(label=RUDE)
        assert "carried" in panel.get_attribute("class")
        assert panel.locator(".panel-note").text_content() == (
            "carried forward: measured at train step 40; the trial diverged at 50"
        )
        assert float(panel.locator("canvas").evaluate("c => getComputedStyle(c).opacity")) < 0.6
        slider = view.locator("[data-track=step] input")
        slider.press("ArrowLeft")
        assert "carried" not in panel.get_attribute("class")
        slider.press("ArrowLeft")
        note = panel.locator(".panel-note").text_content()
        assert note == "carried forward: measured at train step 0"
        assert view.locator(".explorer b").count() == 0
        shown.check()


@needs_browser
def test_steps_have_their_true_places(explorer):
    with opened(explorer) as shown:
        view = shown.view
        slider = view.locator("[data-track=step] input")
        box = slider.bounding_box()
        # 40 of 100: a pointer at two fifths of the way finds it, at the middle too
        for share, step in ((0.0, 0), (0.1, 10), (0.4, 40), (0.5, 40), (0.9, 100)):
            view.mouse.click(box["x"] + 8 + share * (box["width"] - 16), box["y"] + 10)
            text = train_step(view)
            assert text == f"train step {step}"


@needs_browser
def test_pointing_shows_exact_values_and_a_click_chooses(explorer):
    with opened(explorer) as shown:
        view = shown.view
        tip = view.locator(".tip")
        assert not tip.is_visible()
        point(view, "map", 0.2, 0.1)
        text = tip.text_content()
        t, k, lag = (int(found) for found in re.findall(r"\d+", text)[:3])
        assert t - k == lag
        assert f"{1.01 * lag:.6g}".rstrip("0").rstrip(".") in text
        view.mouse.down()
        view.mouse.up()
        assert readout(view).startswith(f"ln ‖∂h_{t}/∂h_{k}‖")
        point(view, "eigenvalues", 0.6, 0.3)
        assert "λ = 0.5 + 0.25i" in tip.text_content()
        point(view, "lag", 0.9, 0.5)
        assert "good" in tip.text_content()
        view.mouse.move(2, 2)
        assert not tip.is_visible()
        shown.check()


@needs_browser
def test_others_are_compared_under_their_names(explorer):
    with opened(explorer) as shown:
        view = shown.view
        assert not view.locator(".legend").is_visible()
        view.locator("[data-choice=other]").select_option(label="all others")
        assert view.locator(".legend li").all_text_contents() == ["good", RUDE]


@needs_browser
def test_a_training_is_played_through(explorer):
    with opened(explorer) as shown:
        view = shown.view
        play = view.locator("[data-play]")
        play.click()
        assert play.text_content() == "❚❚ Pause"
        view.wait_for_function(
            "document.querySelector('[data-track=step] output').textContent === 'train step 10'"
        )
        play.click()  # it stands where it is
        assert play.text_content() == "▶ Play"
        assert train_step(view) == "train step 10"
        play.click()
        view.wait_for_function(
            "document.querySelector('[data-play]').textContent.includes('Play')", timeout=20_000
        )
        assert train_step(view) == "train step 100"
        shown.check()


@needs_browser
def test_the_address_keeps_the_selection(explorer):
    with opened(explorer) as shown:
        view = shown.view
        assert view.evaluate("location.hash") == ""  # nothing was chosen yet
        view.locator("[data-choice=configuration]").select_option(label=RUDE)
        view.locator("[data-choice=scale]").select_option(label="one for all")
        view.locator("[data-track=k] input").press("End")
        view.locator("[data-track=step] input").press("Home")
        kept, said = view.evaluate("location.hash"), readout(view)
    with opened(explorer, fragment=kept) as again:
        view = again.view
        assert readout(view) == said
        assert chosen(view, "configuration") == RUDE
        assert chosen(view, "scale") == "one for all"
        assert train_step(view) == "train step 0"
        again.check()


@needs_browser
@pytest.mark.parametrize(
    "fragment",
    [
        "#explore?configuration=nobody&step=x&seed=77&t=-5&k=1e99&block=none&scale=&gate=zz",
        "#explore?",
        "#explore?other=nobody&relative=&matrix=%3Cb%3E&column=constructor&sequence=99",
        "#summary",
    ],
)
def test_an_address_that_asks_for_what_is_not_there_shows_what_is(explorer, fragment):
    with opened(explorer, fragment=fragment) as shown:
        assert chosen(shown.view, "configuration") == "good"
        assert "nats" in readout(shown.view)
        assert "not known" not in readout(shown.view)
        shown.check()
