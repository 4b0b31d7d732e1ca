"""What ``gradscope diagnose`` is given, by a name."""

import sys

import pytest
import torch
from torch import nn

from gradscope import TrainingSetup
from gradscope.cli._factory import imported, made, training_of
from gradscope.errors import GradscopeError
from gradscope.scope._training import default_loss

FILE = """
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

import gradscope
from neighbour import SIZE

count = 0


@dataclass
class Options:
    size: int = SIZE


def pair():
    global count
    count += 1
    return nn.GRU(2, Options().size), data


def triple():
    return nn.GRU(2, 3), data, loss


def setup():
    return gradscope.TrainingSetup(nn.GRU(2, 3), data, loss)


def alone():
    return nn.GRU(2, 3)


def criterion():
    return nn.GRU(2, 3), data, nn.MSELoss()


def no_data():
    return nn.GRU(2, 3), 7


def no_loss():
    return nn.GRU(2, 3), data, 7


def one_tuple():
    return (nn.GRU(2, 3),)


def refuses():
    raise gradscope.GradscopeError("my own word")


def needs_more(argument):
    return None


data = [torch.zeros(1)]
other_data = [torch.ones(1)]
loss = lambda model, batch: batch
other_loss = lambda model, batch: 2 * batch
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "neighbour.py").write_text("SIZE = 5\n")
    (tmp_path / "of_mine.py").write_text(FILE)
    return f"{tmp_path}/of_mine.py"


# --- what a name names ----------------------------------------------------------------------------


def test_a_file_may_import_its_neighbours_and_runs_once(file):
    first = made(f"{file}:pair")
    assert first[0].hidden_size == 5
    made(f"{file}:pair")
    assert imported(f"{file}:count", "--data") == 2
    assert imported(f"{file}:data", "--data") is first[1]


def test_two_files_of_one_name_are_two_modules(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "twin.py").write_text(f"here = {folder!r}\n")
    assert imported(f"{tmp_path}/a/twin.py:here", "--data") == "a"
    assert imported(f"{tmp_path}/b/twin.py:here", "--data") == "b"


def test_a_module_of_the_working_directory(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert imported("neighbour:SIZE", "FACTORY") == 5
    assert imported("torch.nn:GRU", "FACTORY") is nn.GRU


@pytest.mark.parametrize("name", ["nowhere", ":make", "module:", "a/file.py"])
def test_a_name_without_its_two_parts(name):
    with pytest.raises(GradscopeError, match=f"^--loss '{name}': should be package.module:name"):
        imported(name, "--loss")


def test_a_file_that_fails_can_be_mended(tmp_path):
    path = tmp_path / "mended.py"
    path.write_text("here = 1 / 0\n")
    with pytest.raises(GradscopeError, match=r"importing .*mended\.py failed: ZeroDivisionError"):
        imported(f"{path}:here", "FACTORY")
    assert "mended" not in sys.modules
    path.write_text("here = 1\n")
    assert imported(f"{path}:here", "FACTORY") == 1


def test_what_is_not_there(file, tmp_path):
    with pytest.raises(GradscopeError, match=r"there is no file .*/no\.py"):
        imported(f"{tmp_path}/no.py:make", "FACTORY")
    with pytest.raises(GradscopeError, match=r"has no 'dat'; did you mean 'data'\? known: "):
        imported(f"{file}:dat", "FACTORY")
    with pytest.raises(GradscopeError, match="FACTORY 'no_such_thing:x': importing no_such_thing"):
        imported("no_such_thing:x", "FACTORY")


def test_a_factory_that_is_none(file):
    with pytest.raises(GradscopeError, match="a function without arguments, is of type list"):
        made(f"{file}:data")
    with pytest.raises(GradscopeError, match=r"raised TypeError: .*argument"):
        made(f"{file}:needs_more")
    with pytest.raises(GradscopeError, match=r"^my own word$"):
        made(f"{file}:refuses")


# --- trainings ------------------------------------------------------------------------------------


def test_whatever_a_factory_may_return(file):
    for name, loss in [("pair", default_loss), ("triple", None), ("setup", None)]:
        training = training_of(f"{file}:{name}", None, None)
        assert isinstance(training, TrainingSetup)
        assert isinstance(training.model, nn.GRU)
        assert training.data is imported(f"{file}:data", "--data")
        assert training.loss is (loss or imported(f"{file}:loss", "--loss"))


def test_data_and_loss_of_other_names_take_the_place_of_the_factorys(file):
    for name in ("triple", "setup", "alone"):
        training = training_of(f"{file}:{name}", f"{file}:other_data", f"{file}:other_loss")
        assert training.data is imported(f"{file}:other_data", "--data")
        assert training.loss is imported(f"{file}:other_loss", "--loss")


def test_a_criterion_is_called_with_output_and_target(file):
    training = training_of(f"{file}:criterion", None, None)
    x, y = torch.randn(4, 3), torch.randn(4, 2)
    model = nn.Linear(3, 2)
    assert torch.equal(training.loss(model, (x, y)), nn.functional.mse_loss(model(x), y))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("alone", "returns a model alone; name its batches with --data"),
        ("one_tuple", "returns an object of type tuple; it should return a model, "),
        ("no_data", "the data are of type int; they should be batches"),
        ("no_loss", r"the loss is of type int; it should be a function \(model, batch\) -> loss"),
    ],
)
def test_what_is_no_training(name, message, file):
    with pytest.raises(GradscopeError, match=message):
        training_of(f"{file}:{name}", None, None)
