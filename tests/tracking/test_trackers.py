"""Each tracker gets a run for every trial: its name, its settings, its scalars, its end."""

import contextlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from gradscope.errors import MissingPackageError, UnknownNameError
from gradscope.tracking.recorded import RecordedTrial
from gradscope.tracking.trackers import TRACKERS, check_trackers, trackers_of

TRIAL = RecordedTrial(
    id="5f0c",
    name="lstm · seed 3 · 5f0c",
    folder="lstm-8-3-5f0c",
    settings={"cell.name": "lstm", "seed": 3, "cell.bias": True, "optimizer.lr": 0.001},
    points=[
        (0, {"evaluation/loss": 1.0}),
        (1, {"training/loss": 0.5}),
        (9, {"training/loss": 0.25}),
    ],
    final={"final_loss": 0.25, "solved": 1.0},
)
ENDS = {"final/final_loss": 0.25, "final/solved": 1.0}


def made(text, run=Path("run")):
    (tracker,) = trackers_of([text], "experiment", run)
    return tracker


# --- by name --------------------------------------------------------------------------------------


def test_an_unknown_tracker_is_refused_with_those_that_there_are():
    with pytest.raises(UnknownNameError, match="log: there is no tracker called 'tensorbord'"):
        check_trackers(["tensorbord:x"])
    with pytest.raises(UnknownNameError, match="known: tensorboard, wandb, mlflow, trackio"):
        check_trackers(["neptune"])


def test_a_colon_needs_something_behind_it():
    with pytest.raises(UnknownNameError, match="'tensorboard:' names no DIR after the colon"):
        check_trackers(["tensorboard:"])


@pytest.mark.parametrize("name", TRACKERS)
def test_a_package_that_is_not_there_is_named_with_its_extra(name, monkeypatch):
    module = "torch.utils.tensorboard" if name == "tensorboard" else name
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=rf"pip install gradscope-dynamics\[{name}\]"):
        check_trackers([name])


def test_every_extra_is_one_of_the_package():
    import tomllib

    project = Path(__file__).parents[2] / "pyproject.toml"
    extras = tomllib.loads(project.read_text())["project"]["optional-dependencies"]
    assert set(TRACKERS) <= set(extras)


def test_what_follows_the_first_colon_may_hold_others(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", ModuleType("mlflow"))
    monkeypatch.setitem(sys.modules, "mlflow.entities", ModuleType("mlflow.entities"))
    assert made("mlflow:http://host:5000").where == "http://host:5000"


# --- TensorBoard, really --------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_has_scalars_and_hyperparameters_in_one_run(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    tracker = made(f"tensorboard:{tmp_path}")
    tracker.write(TRIAL)
    folder = tmp_path / "experiment" / "lstm-8-3-5f0c"
    assert [path for path in tmp_path.rglob("*") if path.is_dir()] == [folder.parent, folder]
    events = EventAccumulator(str(folder))
    events.Reload()
    read = {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }
    assert read == {
        "evaluation/loss": [(0, 1.0)],
        "training/loss": [(1, 0.5), (9, 0.25)],
        "final/final_loss": [(9, 0.25)],
        "final/solved": [(9, 1.0)],
    }
    content = events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    hyperparameters = HParamsPluginData.FromString(content).session_start_info.hparams
    assert hyperparameters["cell.name"].string_value == "lstm"
    assert hyperparameters["seed"].number_value == 3
    assert hyperparameters["cell.bias"].number_value == 1  # torch takes it for a number


def test_tensorboard_writes_into_the_run_where_nothing_else_is_said(tmp_path):
    assert made("tensorboard", tmp_path).folder == tmp_path / "tensorboard"


# --- trackio, really where it is installed --------------------------------------------------------


def test_trackio_has_a_run_with_its_settings(tmp_path, monkeypatch, capsys):
    trackio = pytest.importorskip("trackio")
    from trackio import sqlite_storage, utils

    for module in (trackio, sqlite_storage, utils):
        for name in ("TRACKIO_DIR", "MEDIA_DIR"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, tmp_path / name.lower())
    made("trackio").write(TRIAL)
    assert capsys.readouterr().out == ""  # standard output may be a script's
    logs = sqlite_storage.SQLiteStorage.get_logs("experiment", TRIAL.name)
    numbers = [
        (log["step"], {key: value for key, value in log.items() if "/" in key}) for log in logs
    ]
    *first, last = TRIAL.points
    assert numbers == [*first, (last[0], {**last[1], **ENDS})]
    config = sqlite_storage.SQLiteStorage.get_run_config("experiment", TRIAL.name)
    assert config["cell.name"] == "lstm"


class Calls(ModuleType):
    """A package that keeps what it is called with."""

    def __init__(self, name):
        super().__init__(name)
        self.calls = []

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*arguments, **options):
            self.calls.append((name, arguments, options))
            return self

        return call


def test_trackio_is_called_as_it_should(monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", trackio := Calls("trackio"))
    made("trackio:mine").write(TRIAL)
    (init, _, options), *logs, (finish, _, _) = trackio.calls
    assert (init, finish) == ("init", "finish")
    assert (options["project"], options["group"]) == ("mine", "experiment")
    assert (options["name"], options["config"]) == (TRIAL.name, TRIAL.settings)
    assert [options["step"] for _, _, options in logs] == [0, 1, 9]


# --- Weights & Biases -----------------------------------------------------------------------------


def test_wandb_is_called_as_it_should(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", wandb := Calls("wandb"))
    made("wandb").write(TRIAL)
    (settings, _, quiet), (init, _, options), *logs, (finish, _, _) = wandb.calls
    assert (settings, init, finish) == ("Settings", "init", "finish")
    assert quiet == {"console": "off", "silent": True}
    assert (options["project"], options["group"]) == ("experiment", "experiment")
    assert (options["name"], options["config"]) == (TRIAL.name, TRIAL.settings)
    assert [(given, options["step"]) for _, (given,), options in logs] == [
        ({"evaluation/loss": 1.0}, 0),
        ({"training/loss": 0.5}, 1),
        ({"training/loss": 0.25, **ENDS}, 9),
    ]


def test_wandb_offline_leaves_a_run(tmp_path, monkeypatch, capsys):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    made("wandb").write(TRIAL)
    assert capsys.readouterr().out == ""
    (file,) = tmp_path.rglob("run-*.wandb")
    content = file.read_bytes()
    assert b"training/loss" in content
    assert TRIAL.name.encode() in content


# --- MLflow ---------------------------------------------------------------------------------------


class Client:
    """MLflow's client, which keeps what it is told."""

    def __init__(self, tracking_uri):
        self.uri, self.batches, self.ended = tracking_uri, [], []
        Client.made = self

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name):
        return f"experiment {name}"

    def create_run(self, experiment, run_name):
        self.run = (experiment, run_name)
        return SimpleNamespace(info=SimpleNamespace(run_id="r"))

    def log_batch(self, run, **batch):
        self.batches.append(batch)

    def set_terminated(self, run, status):
        self.ended.append((run, status))


@pytest.fixture
def mlflow(monkeypatch):
    """An MLflow without a server."""
    package, entities = ModuleType("mlflow"), ModuleType("mlflow.entities")
    package.MlflowClient = Client
    entities.Metric = lambda *parts: parts
    entities.Param = lambda *parts: parts
    monkeypatch.setitem(sys.modules, "mlflow", package)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)


def test_mlflow_is_called_as_it_should(mlflow):
    made("mlflow:http://host:5000").write(TRIAL)
    client = Client.made
    assert (client.uri, client.run) == (
        "http://host:5000",
        ("experiment experiment", TRIAL.name),
    )
    settings, numbers = client.batches
    assert ("cell.name", "lstm") in settings["params"]
    assert [(name, value, step) for name, value, _, step in numbers["metrics"]] == [
        ("evaluation/loss", 1.0, 0),
        ("training/loss", 0.5, 1),
        ("training/loss", 0.25, 9),
        ("final/final_loss", 0.25, 9),
        ("final/solved", 1.0, 9),
    ]
    assert client.ended == [("r", "FINISHED")]


def test_mlflow_run_that_broke_off_has_failed(mlflow):
    with pytest.raises(ZeroDivisionError), made("mlflow").opened(TRIAL):
        1 / 0  # noqa: B018
    assert Client.made.ended == [("r", "FAILED")]


def test_mlflow_really(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database needs more packages
    with contextlib.suppress(KeyError):
        del sys.modules["mlflow"]
    mlflow = pytest.importorskip("mlflow")
    uri = (tmp_path / "mlruns").as_uri()
    made(f"mlflow:{uri}").write(TRIAL)
    client = mlflow.MlflowClient(tracking_uri=uri)
    (run,) = client.search_runs([client.get_experiment_by_name("experiment").experiment_id])
    assert run.info.run_name == TRIAL.name
    assert run.data.params["optimizer.lr"] == "0.001"
    assert run.data.metrics["training/loss"] == 0.25
