"""gradscope validate."""

from gradscope.experiment.shipped import folder, shipped
from tests.cli.conftest import GOOD, invoke, refused


def test_every_file_is_looked_at(experiment, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("task: adding")
    result = invoke("validate", bad, tmp_path / "missing.yaml", experiment)
    assert result.exit_code == 2
    assert result.stdout == f"{experiment}: ok, 2 trials of 1 configuration: rnn\n"
    complaints = result.stderr.splitlines()
    assert "needs 'cell'" in complaints[0]
    assert "missing.yaml: there is no such file" in complaints[1]
    assert len(complaints) == 2


def test_all_mistakes_of_all_files_are_told(experiment, tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("task: addin\ncell: {name: LSTM, size: 3}\nseed: -1\nquestoin: why")
    second.write_text(GOOD + "clip: Value\n")
    result = invoke("validate", first, second)
    assert result.exit_code == 2
    places = [
        line.split(": ")[1].removeprefix(f"{tmp_path}/") for line in result.stderr.splitlines()
    ]
    assert places == [
        "first.yaml:1:7",
        "first.yaml:2:14",
        "first.yaml:3:7",
        "first.yaml:4:11",
        "second.yaml:6:7",
    ]
    run = invoke("run", first)
    assert run.exit_code == 2
    assert run.stderr.splitlines() == result.stderr.splitlines()[:4]


def test_a_folder(experiment, tmp_path):
    several = tmp_path / "several"
    several.mkdir()
    assert "holds no YAML file" in refused("validate", several)
    for name in ("a", "b"):
        (several / f"{name}.yaml").write_text(experiment.read_text())
    result = invoke("validate", several)
    assert result.exit_code == 0, result.output
    assert [line.split(": ok")[0] for line in result.output.splitlines()] == [
        str(several / "a.yaml"),
        str(several / "b.yaml"),
    ]


def test_the_first_configurations_are_named(tmp_path):
    path = tmp_path / "many.yaml"
    path.write_text(GOOD.replace("seed: [0, 1]", "cell.hidden_size: [1, 2, 3, 4, 5, 6, 7, 8, 9]"))
    output = invoke("validate", path).output
    assert "ok, 9 trials of 9 configurations: hidden size 1; hidden size 2;" in output
    assert output.endswith("hidden size 8; ...\n")


def test_shipped_experiments_are_valid():
    files = sorted(folder().glob("**/*.yaml"))
    assert len(files) >= 5
    result = invoke("validate", *files)
    assert result.exit_code == 0, result.output
    named = invoke("validate", "quickstart", "lecture")
    assert named.exit_code == 0, named.output
    in_lecture = [path for path in shipped().values() if path.parent.name == "lecture"]
    assert len(named.output.splitlines()) == 1 + len(in_lecture)


def test_components_of_ones_own(experiment, plugin):
    experiment.write_text(GOOD + "clip: nothing_at_all\n")
    message = refused("validate", experiment)
    assert f"{experiment}:6:7: clip.name: there is no clip called 'nothing_at_all'" in message
    assert invoke("validate", experiment, "--with", plugin).exit_code == 0
