"""The page that links the reports of a folder."""

import re

import pytest
from scipy.stats import gmean

from gradscope.experiment import Experiment
from gradscope.experiment.run import prepare
from gradscope.report import write_index
from gradscope.report.index import _face, _in_words
from gradscope.results.manifest import Prediction
from gradscope.results.records import RunDirectory
from gradscope.results.tables import load
from tests.browser import needs_browser, opened
from tests.report.conftest import SMALL

pytestmark = pytest.mark.whole

EXPECT = """
cell: rnn
probes: []
question: What of <{name}>?
answer: It is {name}.
expect:
  - {{claim: it learns nothing, measure: success_rate, configuration: rnn, below: 0.5}}
  - {{claim: it has learnt, measure: final_loss, configuration: rnn, below: 0}}
"""


def test_entries_have_questions_answers_verdicts_and_links(recorded, tmp_path):
    runs = [recorded(EXPECT.format(name=name), name).path for name in ("02_second_one", "other")]
    page = write_index(tmp_path, runs, "all_of_them")
    assert page == tmp_path / "index.html"
    text = page.read_text()
    assert "<h1>all of them</h1>" in text
    assert re.findall(r'<h2 id="\d+"><a href="([^"]*)">([^<]*)</a>', text) == [
        ("02_second_one/index.html", "2. second one"),
        ("other/index.html", "other"),
    ]
    assert "What of &lt;other&gt;?" in text
    assert "<strong>Expected:</strong> It is other." in text
    assert text.count("Solved by no seed: rnn (0/1); 95% interval of the share 0% to 98%.") == 2
    assert text.count("1 of 2 expectations held, 0 of them beyond chance.") == 2


def test_expectations_that_hold_beyond_chance_are_counted(recorded, tmp_path):
    """Of two configurations whose seeds overlap, one has the greater loss, which is no evidence."""
    run = recorded("cell: rnn\nprobes: []\nsweep: {cell.name: [rnn, gru], seed: [0, 1, 2, 3]}")
    losses = load(run)["trials"].groupby("configuration")["final_loss"]
    lower, higher = losses.apply(gmean).sort_values().index
    assert losses.max()[lower] > losses.min()[higher], "the seeds should overlap"
    claim = Prediction(
        claim="one is below the other", measure="final_loss", configuration=lower, below=higher
    )
    run.write_manifest(run.manifest().model_copy(update={"expect": [claim]}))
    text = write_index(tmp_path, [run.path], "t").read_text()
    assert "1 of 1 expectations held, 0 of them beyond chance." in text


def test_runs_without_a_trial_are_left_out(recorded, tmp_path):
    empty = RunDirectory(tmp_path / "empty")
    prepare(Experiment.parse(SMALL + "cell: rnn", default_name="empty"), empty, "cpu")
    full = recorded("cell: rnn\nprobes: []")
    text = write_index(tmp_path, [empty.path, full.path, tmp_path / "nowhere"], "t").read_text()
    assert text.count('class="entry"') == 1
    assert "empty/index.html" not in text
    assert "Expected:" not in text
    assert "expectations held" not in text


def test_links_are_relative_also_to_runs_elsewhere(recorded, tmp_path):
    run = recorded("cell: rnn\nprobes: []")
    folder = tmp_path / "deep" / "inside"
    text = write_index(folder, [run.path], "t").read_text()
    assert 'href="../../run/index.html"' in text


def test_the_figure_that_stands_for_a_run_is_the_first_that_may_and_is_drawn(page, tmp_path):
    run = RunDirectory(page.parent)
    face = _face(run)
    assert (page.parent / "figures" / f"{face}.png").is_file()
    text = write_index(page.parent.parent / "faces", [page.parent], "t").read_text()
    address = f"../{page.parent.name}/figures/{face}.png"
    assert f'<img src="{address}" alt="{face.replace("_", " ")}"' in text


def test_faces_come_in_the_order_of_their_plots(tmp_path):
    from gradscope.plots import PLOTS

    faces = {name: PLOTS.get(name).face for name in PLOTS.names()}
    ranked = sorted((name for name in faces if faces[name] is not None), key=lambda n: faces[n])
    assert len(ranked) > 1
    figures = tmp_path / "figures"
    figures.mkdir()
    (figures / f"{next(name for name in faces if faces[name] is None)}.png").touch()
    assert _face(RunDirectory(tmp_path)) == ""
    for name in reversed(ranked):
        (figures / f"{name}.png").touch()
        assert _face(RunDirectory(tmp_path)) == name


def test_names_in_words():
    assert _in_words("04_bptt_sum") == "4. bptt sum"
    assert _in_words("quickstart") == "quickstart"
    assert _in_words("tbptt_length") == "tbptt length"
    assert _in_words("04_") == "04 "


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_chromium_everybody_can_use_it(page, scheme):
    index = write_index(page.parent.parent / "seen", [page.parent], "All of them")
    with opened(index, 390, scheme) as shown:
        assert shown.violations() == []
        assert shown.complaints == []
