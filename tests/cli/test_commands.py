"""The command line, as a newcomer meets it."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from gradscope.cli._group import main
from gradscope.components import registry

GOOD = (
    "task: {name: adding, length: 4}\ncell: rnn\ntraining: {steps: 3}\nevaluation: {sequences:"
    " 5}\nsweep: {seed: [0, 1]}\n"
)


@pytest.fixture
def experiment(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(GOOD)
    return path


def invoke(*arguments: object):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_run_show_report(experiment, tmp_path):
    out = tmp_path / "run"
    first = invoke("run", experiment, "--out", out)
    assert first.exit_code == 0, first.output
    assert "small: 2 trials" in first.output
    assert "[2/2] seed 1: unsolved" in first.output
    assert (out / "index.html").exists()
    again = invoke("run", experiment, "--out", out, "--no-report")
    assert "2 already recorded" in again.output
    shown = invoke("show", out)
    assert "2 of 2 trials recorded" in shown.output
    assert "0/2" in shown.output
    assert invoke("show", out, "--csv").output.startswith("configuration,length,")
    (out / "index.html").unlink()
    assert invoke("report", out).exit_code == 0
    assert (out / "index.html").exists()


def test_default_directory_is_named_after_the_experiment(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert invoke("run", experiment, "--no-report").exit_code == 0
    assert (tmp_path / "reports" / "small" / "manifest.json").exists()


def test_a_folder_runs_all_that_is_in_it_and_links_the_reports(tmp_path):
    folder, out = tmp_path / "questions", tmp_path / "out"
    folder.mkdir()
    for name in ("b", "a"):
        (folder / f"{name}.yaml").write_text(GOOD + f"question: 'What of <{name}>?'\n")
    result = invoke("run", folder, "--out", out)
    assert result.exit_code == 0, result.output
    page = (out / "index.html").read_text()
    assert page.index("What of &lt;a&gt;?") < page.index("What of &lt;b&gt;?")
    for name in ("a", "b"):
        assert f'href="{name}/index.html"' in page
        assert (out / name / "index.html").exists()
        assert (out / name / "figures" / "gradient_vs_lag.png").exists()
    (folder / "c.yaml").write_text("task: {name: adding, lenght: 3}")
    broken = invoke("run", folder, "--out", tmp_path / "other")
    assert broken.exit_code == 2
    assert not (tmp_path / "other").exists(), "nothing is run where one of the files is wrong"
    (tmp_path / "empty").mkdir()
    assert "holds no YAML file" in invoke("run", tmp_path / "empty").output


def test_overrides(experiment, tmp_path):
    result = invoke(
        "run",
        experiment,
        "--out",
        tmp_path / "run",
        "--no-report",
        "--set",
        "training.steps=2",
        "--set",
        "cell=gru",
    )
    assert result.exit_code == 0
    settings = json.loads((tmp_path / "run" / "manifest.json").read_text())["trials"][0]["settings"]
    assert settings["training"]["steps"] == 2
    assert settings["cell"]["name"] == "gru"
    bad = invoke("run", experiment, "--out", tmp_path / "other", "--set", "training.steps")
    assert bad.exit_code == 2
    assert "should be KEY=VALUE" in bad.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "missing.yaml"],
        ["validate", "missing.yaml"],
        ["show", "nowhere"],
        ["report", "nowhere"],
        ["list", "cel"],
        ["list", "cell", "lstn"],
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(arguments):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.output.startswith("gradscope: ")
    assert len(result.output.strip().splitlines()) == 1
    assert "Traceback" not in result.output


def test_nothing_is_written_for_a_bad_experiment(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(GOOD + "clpi: none")
    result = invoke("run", path, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert f"{path}:6:7" in result.output
    assert not (tmp_path / "run").exists()


def test_another_experiments_directory_is_left_alone(experiment, tmp_path):
    invoke("run", experiment, "--out", tmp_path / "run", "--no-report")
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    other = tmp_path / "other.yaml"
    other.write_text(GOOD)
    result = invoke("run", other, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "a run of the experiment 'small', not of 'other'" in result.output
    experiment.write_text(GOOD.replace("steps: 3", "steps: 4"))
    result = invoke("run", experiment, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "2 recorded trials" in result.output
    assert {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()} == before


def test_a_device_that_is_not_there(experiment, tmp_path):
    result = invoke("run", experiment, "--out", tmp_path / "run", "--device", "abacus")
    assert result.exit_code == 2
    assert "--device 'abacus' cannot be used here" in result.output


def test_a_failed_trial_is_exit_code_1(experiment, tmp_path, monkeypatch):
    from gradscope.probes.saturation import Saturation

    monkeypatch.setattr(Saturation, "measure", lambda self, trace: 1 / 0)
    result = invoke("run", experiment, "--out", tmp_path / "run", "--no-report")
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.output


def test_divergence_is_not_a_failure(experiment, tmp_path):
    result = invoke(
        "run",
        experiment,
        "--out",
        tmp_path / "run",
        "--no-report",
        "--set",
        "cell={name: rnn, activation: identity}",
        "--set",
        "optimizer={name: sgd, lr: 1e30}",
    )
    assert result.exit_code == 0
    assert "diverged" in result.output


def test_validate(experiment, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("task: adding")
    result = invoke("validate", experiment, bad)
    assert result.exit_code == 2
    assert f"{experiment}: ok, 2 trials of 1 configuration: rnn" in result.output
    assert "needs 'cell'" in result.output


def test_validate_a_folder(experiment, tmp_path):
    folder = tmp_path / "several"
    folder.mkdir()
    assert "holds no YAML file" in invoke("validate", folder).output
    for name in ("a", "b"):
        (folder / f"{name}.yaml").write_text(experiment.read_text())
    result = invoke("validate", folder)
    assert result.exit_code == 0, result.output
    assert [line.split(": ok")[0] for line in result.output.splitlines()] == [
        str(folder / "a.yaml"),
        str(folder / "b.yaml"),
    ]


def test_list_names_everything_once():
    text = invoke("list").output
    for kind in registry.FOLDERS:
        for name in registry.names(kind):
            assert f"  {name} " in text
    one = invoke("list", "cells", "lstm").output
    assert "forget_bias: float | None = null" in one
    assert "Hochreiter" in one


def test_schema_is_json_and_knows_every_component():
    schema = json.loads(invoke("schema").output)
    assert {"task", "cell", "sweep", "training"} <= set(schema["properties"])
    for kind in registry.FOLDERS:
        assert schema["$defs"][kind]["anyOf"][0]["enum"] == registry.names(kind)
    assert "hidden_size" in json.dumps(schema["$defs"]["cell"])


def test_help_imports_no_torch_and_nothing_that_draws():
    script = (
        "import sys\nfrom gradscope.cli._group import main\ntry:\n    main(['--help'])\nexcept"
        " SystemExit:\n    pass\nheavy = {'torch', 'pandas', 'matplotlib', 'seaborn', 'plotly',"
        " 'scipy', 'distributed'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_every_command_has_help():
    for command in main.commands:
        result = invoke(command, "--help")
        assert result.exit_code == 0
        assert len(result.output.splitlines()[2].strip()) > 20


def test_shipped_experiments_are_valid():
    from pathlib import Path

    files = sorted(Path("experiments").glob("**/*.yaml"))
    assert len(files) >= 5
    result = invoke("validate", *files)
    assert result.exit_code == 0, result.output


def test_users_words_are_not_markup(tmp_path):
    path = tmp_path / "words.yaml"
    path.write_text(
        "question: 'is [/really] a $x$?'\n"
        + GOOD.replace("sweep: {seed: [0, 1]}", "sweep: {v: [{label: 'a [/b]', seed: 1}]}")
    )
    assert invoke("run", path, "--out", tmp_path / "run").exit_code == 0
    shown = invoke("show", tmp_path / "run")
    assert shown.exit_code == 0, shown.output
    assert "is [/really] a $x$?" in shown.output
    assert "a [/b]" in shown.output


def test_an_address_where_no_scheduler_answers(experiment, tmp_path):
    result = invoke(
        "run", experiment, "--out", tmp_path / "run", "--scheduler", "tcp://127.0.0.1:1"
    )
    assert result.exit_code == 2
    assert "no Dask scheduler answers at 'tcp://127.0.0.1:1'" in result.output
