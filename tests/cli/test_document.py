"""What ``gradscope run --json`` prints, as a script reads it."""

import json

import pytest

from tests.cli.conftest import GOOD, invoke

EXPECT = (
    "expect:\n  - {claim: it learns, measure: success_rate, configuration: rnn, above: 0.5}\n"
    "  - {claim: it does not, measure: success_rate, configuration: rnn, below: 0.5}\n"
)


def test_one_document_says_what_became_of_every_trial(experiment, tmp_path):
    experiment.write_text(GOOD + EXPECT + "figures: [learning_curves]\n")
    out = tmp_path / "run"
    result = invoke("run", experiment, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["format"], told["exit_code"], told["index"]) == (1, 0, None)
    assert told["meaning"] == "all trials are recorded"
    (run,) = told["runs"]
    assert (run["name"], run["directory"], run["recorded"]) == ("small", str(out), 2)
    assert run["report"] == str(out / "index.html")
    first, second = run["trials"]
    assert (first["status"], first["configuration"], first["error"]) == ("unsolved", "rnn", None)
    assert first["settings"]["training"]["steps"] == 3
    assert (first["settings"]["seed"], second["settings"]["seed"]) == (0, 1)
    assert first["axes"] == {"seed": "seed 0"}
    assert (first["steps"], first["steps_to_solve"]) == (3, None)
    assert first["final_loss"] > 0
    assert [claim["held"] for claim in run["expectations"]] == [False, True]
    assert run["expectations"][0]["claim"] == "it learns"
    assert run["verdict"]
    # words of progress go elsewhere
    assert "small: 2 trials" in result.stderr
    assert "[2/2] seed 1: unsolved" in result.stderr
    assert f"report: {out}/index.html" in result.stderr


def test_quiet_json_is_the_document_alone(experiment, tmp_path):
    result = invoke("run", experiment, "--out", tmp_path / "run", "--no-report", "--json", "-q")
    assert result.stderr == ""
    assert json.loads(result.stdout)["runs"][0]["report"] is None


def test_what_failed_and_why(experiment, tmp_path, monkeypatch):
    from gradscope.probes.saturation import Saturation

    monkeypatch.setattr(Saturation, "measure", lambda self, trace: 1 / 0)
    result = invoke("run", experiment, "--out", tmp_path / "run", "--json", "-q")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["exit_code"] == 1
    assert told["meaning"].startswith("a trial failed for a cause other than divergence")
    for trial in told["runs"][0]["trials"]:
        assert trial["status"] == "failed"
        assert "ZeroDivisionError" in trial["error"]
        assert trial["final_loss"] is None


def test_an_interrupted_run_has_its_document(experiment, tmp_path, interrupted):
    result = invoke("run", experiment, "--out", tmp_path / "run", "--json")
    assert result.exit_code == 130
    told = json.loads(result.stdout)
    assert told["exit_code"] == 130
    (run,) = told["runs"]
    assert sorted(trial["status"] for trial in run["trials"]) == ["missing", "unsolved"]
    assert run["recorded"] == 1


def test_bad_input_has_none(experiment, tmp_path):
    experiment.write_text(GOOD + "clpi: none")
    result = invoke("run", experiment, "--out", tmp_path / "run", "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "clpi" in result.stderr


def test_divergence_is_a_status(experiment, tmp_path):
    result = invoke(
        "run", experiment, "--out", tmp_path / "run", "--no-report", "--json", "-q",
        "--set", "cell={name: rnn, activation: identity}",
        "--set", "optimizer={name: sgd, lr: 1e30}",
    )  # fmt: skip
    assert result.exit_code == 0
    for trial in json.loads(result.stdout)["runs"][0]["trials"]:
        assert trial["status"] == "diverged"
        assert trial["cause"]
        assert trial["final_loss"] is None


@pytest.mark.whole
def test_a_folder_has_a_run_for_each_file(tmp_path):
    folder, out = tmp_path / "questions", tmp_path / "out"
    folder.mkdir()
    for name in ("b", "a"):
        (folder / f"{name}.yaml").write_text(GOOD + "figures: [learning_curves]\n")
    told = json.loads(invoke("run", folder, "--out", out, "--json").stdout)
    assert [run["name"] for run in told["runs"]] == ["a", "b"]
    assert told["index"] == str(out / "index.html")


def test_records_that_are_damaged_are_an_error_of_their_run(recorded):
    from gradscope.cli._document import document
    from gradscope.results.records import RunDirectory

    next((recorded / "tables" / "trials").glob("*.parquet")).write_bytes(b"nonsense")
    (run,) = document([(RunDirectory(recorded), None)], 0, None)["runs"]
    assert "damaged" in run["error"]
    assert run["trials"] == []


@pytest.mark.parametrize("code", [0, 1, 130])
def test_every_exit_code_has_a_meaning(code):
    from gradscope.cli._document import document

    assert document([], code, None)["meaning"]
