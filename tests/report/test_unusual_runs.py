"""Reports of runs that are not what one hoped for: each is a true page, in every format."""

import json
import re
import shutil

import pytest

from gradscope.errors import RunDirectoryError
from gradscope.experiment import Experiment
from gradscope.experiment.run import prepare
from gradscope.report import write_report
from gradscope.results.records import RunDirectory
from tests.report.conftest import SMALL

pytestmark = pytest.mark.whole

SWEEP = "cell: rnn\nsweep: {cell: [rnn, lstm], seed: [0, 1]}\n"


def _text(run):
    return write_report(run)[0].read_text(encoding="utf-8")


def test_one_trial_alone(recorded):
    text = _text(recorded("cell: rnn\n"))
    assert "could not be drawn" not in text
    assert "(n = 1)" in text
    assert "one seed" in text or "1 seed" in text
    assert "95% interval" in text
    assert not re.search(r"\bnan\b", re.sub(r"<script.*?</script>", "", text, flags=re.S))


def test_all_diverged(recorded):
    run = recorded(SWEEP + "optimizer: {name: sgd, lr: 1.0e+30}\n")
    text = _text(run)
    assert (
        text.count('<tr><th scope="row">rnn</th><td>4</td>') == 3
    )  # in the summary, and both trials
    assert "Diverged (a loss or gradient that is no longer a number): " in text
    assert "did best" not in text
    assert "came first" not in text
    pages = write_report(run, ["md", "ipynb"])
    assert all(page.is_file() for page in pages)


def test_an_incomplete_run_says_so(recorded, tmp_path):
    run = recorded(SWEEP)
    for trial in [entry.id for entry in run.manifest().trials][2:]:
        (run.path / "ledger" / f"{trial}.json").unlink()
    text = _text(run)
    assert "2 of 4 trials are recorded so far." in text
    assert "lstm" not in text.split("What was found")[1].split("</section>")[0]
    assert "2 of 4" in write_report(run, ["md"])[0].read_text(encoding="utf-8")


def test_a_run_without_a_trial_is_refused_in_every_format(tmp_path):
    run = RunDirectory(tmp_path / "run")
    prepare(Experiment.parse(SMALL + "cell: rnn"), run, "cpu")
    for format in ("html", "md", "ipynb"):
        with pytest.raises(RunDirectoryError, match="no trial is recorded yet"):
            write_report(run, [format])
    assert not list(run.path.glob("report.*"))


def test_a_run_of_the_first_format_is_drawn(recorded):
    run = recorded(SWEEP)
    now = _text(run)
    manifest = json.loads(run.manifest_path.read_text(encoding="utf-8"))
    plain = {key: value for key, value in manifest.items() if key != "sha256"} | {"format": 1}
    run.manifest_path.write_text(json.dumps(plain), encoding="utf-8")
    shutil.rmtree(run.path / "ledger")
    assert _text(RunDirectory(run.path)).replace("format 1", "") == now
