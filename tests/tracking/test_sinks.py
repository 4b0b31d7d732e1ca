"""Loggers get the scalars, each in its own way."""

import pandas as pd
import pytest
import torch

import gradscope
from gradscope.errors import GradscopeError
from gradscope.tracking.sinks import sink_of
from tests.scope.conftest import MODELS, inputs


class Writer:
    """TensorBoard's."""

    def __init__(self):
        self.calls = []

    def add_scalar(self, tag, scalar_value, global_step):
        self.calls.append((tag, scalar_value, global_step))


class Run:
    """Weights & Biases'."""

    def __init__(self):
        self.calls = []

    def log(self, data):
        self.calls.append(data)


class Metrics(Run):
    """mlflow's and Lightning's."""

    def log_metrics(self, metrics, step):
        self.calls.append((metrics, step))


def test_each_in_its_own_way():
    writer, run, metrics, calls = Writer(), Run(), Metrics(), []
    for logger in (writer, run, metrics, lambda scalars, step: calls.append((scalars, step))):
        sink_of(logger)({"a": 1.0, "b": 2.0}, 7)
    assert writer.calls == [("gradscope/a", 1.0, 7), ("gradscope/b", 2.0, 7)]
    assert run.calls == [{"gradscope/a": 1.0, "gradscope/b": 2.0, "gradscope/train_step": 7}]
    assert metrics.calls == [({"gradscope/a": 1.0, "gradscope/b": 2.0}, 7)]
    assert calls == [({"a": 1.0, "b": 2.0}, 7)]


def test_a_path_is_a_csv_file_that_grows(tmp_path):
    path = tmp_path / "of this" / "scalars.csv"
    sink_of(path)({"a,b": 1.5}, 7)
    sink_of(str(path))({"c": 2.0, "d": 1e-300}, 8)
    frame = pd.read_csv(path)
    assert frame.columns.tolist() == ["train_step", "name", "value"]
    assert frame.values.tolist() == [
        [7, "gradscope/a,b", 1.5], [8, "gradscope/c", 2.0], [8, "gradscope/d", 1e-300],
    ]  # fmt: skip


def test_a_file_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("dear diary")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for name in ("notes.txt", "bytes", "."):
        with pytest.raises(GradscopeError, match=r"holds something else|cannot be written"):
            sink_of(tmp_path / name)
    assert (tmp_path / "notes.txt").read_text() == "dear diary"


def test_what_is_no_logger_is_named():
    with pytest.raises(GradscopeError, match="cannot log to a int"):
        sink_of(3)


def test_a_scope_hands_every_recording_to_all_of_them():
    writer, run, metrics, steps = Writer(), Run(), Metrics(), []
    model = MODELS["GRU"]()
    scope = (
        gradscope.attach(model)
        .log_to(writer)
        .log_to(run)
        .log_to(metrics)
        .log_to(lambda scalars, step: steps.append(step))
    )
    for _ in range(2):
        with scope.record():
            model(inputs()).sum().backward()
    expected = scope.scalars()["rnn/adjoint_log_ratio"]
    assert ("gradscope/rnn/adjoint_log_ratio", expected, 1) in writer.calls
    assert run.calls[1]["gradscope/train_step"] == 1
    assert run.calls[1]["gradscope/rnn/adjoint_log_ratio"] == expected
    assert metrics.calls[0][1] == 0
    assert steps == [0, 1]


def test_a_real_tensorboard_writer(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    model = MODELS["GRU"]()
    scope = gradscope.attach(model)
    with SummaryWriter(str(tmp_path)) as writer:
        scope.log_to(writer)
        with scope.record():
            model(inputs()).sum().backward()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    (event,) = events.Scalars("gradscope/rnn/adjoint_log_ratio")
    assert event.step == 0
    expected = scope.scalars()["rnn/adjoint_log_ratio"]
    torch.testing.assert_close(torch.tensor(event.value), torch.tensor(expected))
