"""gradscope show."""

import json
import subprocess
import sys

import pandas as pd
from rich.cells import cell_len

from gradscope.results.records import RunDirectory
from tests.cli.conftest import GOOD, invoke, refused


def test_the_summary(recorded):
    shown = invoke("show", recorded)
    assert shown.exit_code == 0, shown.output
    assert "2 of 2 trials recorded" in shown.output
    assert "0/2" in shown.output
    assert "- Solved by no seed: rnn (0/2); 95% interval of the share 0% to 84%." in shown.output


def test_it_imports_nothing_that_trains_or_draws(recorded):
    script = (
        "import sys\nfrom gradscope.cli import main\nmain(sys.argv[1:], standalone_mode=False)\n"
        "heavy = {'torch', 'matplotlib', 'seaborn', 'scipy.stats', 'distributed'}"
        " & set(sys.modules)\nassert not heavy, heavy"
    )
    command = [sys.executable, "-c", script, "show", str(recorded)]
    subprocess.run(command, check=True, capture_output=True)


def test_expectations_are_held_against_what_was_measured(experiment, tmp_path):
    claims = [
        ("it [b] learns nothing", "success_rate, configuration: rnn, below: 0.5"),
        ("it has learnt", "final_loss, configuration: rnn, below: 0"),
    ]
    expected = [f"  - {{claim: '{claim}', measure: {rest}}}\n" for claim, rest in claims]
    experiment.write_text(f"{GOOD}expect:\n{''.join(expected)}")
    assert invoke("run", experiment, "--out", tmp_path / "run", "--no-report").exit_code == 0
    text = " ".join(invoke("show", tmp_path / "run").output.split())
    assert (
        "Expected and measured: ✓ it [b] learns nothing: held, not beyond chance (success rate"
        in text
    )
    assert "✗ it has learnt: not held (final loss of rnn: " in text
    assert "; below 0) Held, not beyond chance: the estimate lies on the expected side" in text


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


def test_as_json(recorded):
    result = invoke("show", recorded, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["trials"] == {"recorded": 2, "of": 2}
    assert found["summary"][0]["configuration"] == "rnn"
    assert found["verdict"][0].startswith("Solved by no seed")


def test_two_formats_at_once(recorded):
    result = invoke("show", recorded, "--json", "--csv")
    assert result.exit_code == 2
    assert "give one of them" in result.stderr


def test_a_narrow_page_keeps_numbers_whole_and_names_what_it_leaves_out(recorded, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = invoke("show", recorded).output.splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert any("(0% to 84%)" in line for line in lines)
    monkeypatch.setenv("COLUMNS", "40")
    narrow = invoke("show", recorded).output
    assert max(map(cell_len, narrow.splitlines())) <= 40
    assert "Left out for want of width:" in narrow


def test_a_page_that_says_nothing_of_its_width_is_wide(recorded, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    wide = invoke("show", recorded).output
    monkeypatch.setenv("COLUMNS", "0")
    assert invoke("show", recorded).output == wide
    assert "Left out" not in wide
