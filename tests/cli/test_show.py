"""gradscope show."""

import pandas as pd

from gradscope.results.records import RunDirectory
from tests.cli.conftest import GOOD, invoke, refused


def test_the_summary(recorded):
    shown = invoke("show", recorded)
    assert shown.exit_code == 0, shown.output
    assert "2 of 2 trials recorded" in shown.output
    assert "0/2" in shown.output
    assert "- Solved by no seed: rnn (0/2); 95% interval of the share 0% to 84%." in shown.output


def test_the_summary_as_csv(recorded):
    from io import StringIO

    output = invoke("show", recorded, "--csv").output
    assert output.startswith("configuration,length,")
    frame = pd.read_csv(StringIO(output))
    assert frame[["configuration", "length", "trials"]].to_dict("records") == [
        {"configuration": "rnn", "length": 4, "trials": 2}
    ]


def test_failed_trials_are_named(recorded):
    run = RunDirectory(recorded)
    trial = min(run.done())
    (recorded / "ledger" / f"{trial}.json").unlink()
    run.write_failure(trial, "OSError: disk full")
    shown = invoke("show", recorded)
    assert "1 of 2 trials recorded" in shown.stdout
    assert f"trial {trial} failed: OSError: disk full" in shown.stderr


def test_users_words_are_not_markup(tmp_path):
    path = tmp_path / "words.yaml"
    path.write_text(
        "question: 'is [/really] a $x$?'\n"
        + GOOD.replace("sweep: {seed: [0, 1]}", "sweep: {v: [{label: 'a [/b]', seed: 1}]}")
        + "figures: [learning_curves]\n"
    )
    assert invoke("run", path, "--out", tmp_path / "run").exit_code == 0
    shown = invoke("show", tmp_path / "run")
    assert shown.exit_code == 0, shown.output
    assert "is [/really] a $x$?" in shown.output
    assert "a [/b]" in shown.output


def test_a_directory_that_holds_no_run(tmp_path):
    assert "does not exist" in refused("show", tmp_path / "nowhere")
    assert "holds no manifest.json" in refused("show", tmp_path)
