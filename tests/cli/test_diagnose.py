"""gradscope diagnose."""

import json

import pytest

from gradscope.findings import FINDINGS
from tests.cli.conftest import invoke, refused

FILE = """
import torch
from torch import nn


class Adder(nn.Module):
    def __init__(self, kind=nn.RNN):
        super().__init__()
        self.rnn, self.out = kind(2, 16, batch_first=True), nn.Linear(16, 1)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])[:, 0]


def batches():
    generator = torch.Generator().manual_seed(0)
    while True:
        x = torch.rand(8, 30, 2, generator=generator)
        yield x, x[:, 0, 0]


def make():
    return Adder(), batches


def model_alone():
    return Adder(nn.GRU)


def explosive():
    model = Adder()
    model.rnn.weight_hh_l0.data.fill_(float("nan"))
    return model, batches


def nothing():
    return 3


def broken():
    return 1 / 0


def linear():
    return nn.Linear(2, 1), [(torch.ones(3, 2), torch.ones(3, 1))]


class Looped(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.net, self.other = nn.RNN(2, 3), nn.Tanh(), nn.Linear(3, 3)

    def forward(self, x):
        h = self.rnn(x)[0][-1]
        for _ in range(9):
            h = self.net(self.other(h))
        return h


def looped():
    return Looped(), [(torch.ones(9, 2, 2), torch.ones(2, 3))]


wrong_loss = lambda model, batch: (model(batch[0]) - batch[1]).abs()
float_loss = lambda model, batch: 3.0
broken_loss = lambda model, batch: (model(batch[0]) - batch[1][:3]).mean()
criterion = nn.L1Loss()
loss = lambda model, batch: (model(batch[0]) - batch[1]).abs().mean()
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my_model.py"
    path.write_text(FILE)
    return path


def words(text):
    """A text on one line."""
    return " ".join(text.split())


def test_it_says_what_is_wrong_and_fails_on_it(file, tmp_path):
    result = invoke(
        "diagnose", f"{file}:make", "--updates", 3, "--every", 2, "--out", tmp_path / "out",
        "--fail-on", "vanishing,exploding",
    )  # fmt: skip
    assert result.exit_code == 1, result.output
    assert "3 updates, loss" in result.output
    assert "1. vanishing at rnn" in result.output
    measured = "(gradscope's experiments: adding and temporal order at length 40: solved"
    assert measured in words(result.output)
    assert "found: vanishing at rnn" in result.stderr
    assert f"report: {tmp_path}/out/index.html" in result.stdout
    assert (tmp_path / "out" / "index.html").exists()


def test_it_fails_only_on_what_is_named(file):
    arguments = ("diagnose", f"{file}:make", "--updates", 1, "--fail-on")
    assert invoke(*arguments, "exploding").exit_code == 0
    assert invoke(*arguments, "any").exit_code == 1
    assert invoke(*arguments, "exploding, unheard-inputs").exit_code == 1
    assert "1 update, loss" in invoke(*arguments, "exploding").output


def test_what_could_not_be_looked_for_is_a_failure_too(file, monkeypatch):
    def fail(self, evidence):
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr(FINDINGS.get("exploding"), "examine", fail)
    arguments = "diagnose", f"{file}:make", "--updates", 1, "--fail-on"
    result = invoke(*arguments, "exploding")
    assert result.exit_code == 1
    assert "not looked for: exploding: ZeroDivisionError: by nought (" in result.stderr
    assert invoke(*arguments, "any").exit_code == 1
    assert invoke(*arguments, "not-finite").exit_code == 0
    assert "exploding was not looked for" in words(invoke(*arguments, "any").stdout)


def test_as_json(file):
    result = invoke("diagnose", f"{file}:make", "--updates", 1, "--json")
    content = json.loads(result.stdout)
    assert content["updates"] == 1
    assert content["tried"] == []
    assert content["recurrences"] == ["rnn"]
    findings = content["findings"]
    assert findings[0]["finding"] == "vanishing"
    assert findings[0]["evidence"]["lag"] > 0
    assert {"name", "what", "measured"} == set(findings[0]["remedies"][0])


def test_what_is_not_finite_is_null_in_json(file):
    result = invoke("diagnose", f"{file}:explosive", "--updates", 1, "--json", "--fail-on", "any")
    assert result.exit_code == 1
    content = json.loads(result.stdout, parse_constant=pytest.fail)
    assert content["loss_first"] is None
    assert "not_finite" in [finding["finding"] for finding in content["findings"]]


def test_json_stays_alone_on_standard_output(file, tmp_path):
    result = invoke(
        "diagnose", f"{file}:make", "--updates", 2, "--json", "--try", 1, "--try-updates", 2,
        "--out", tmp_path / "out",
    )  # fmt: skip
    tried = json.loads(result.stdout)["tried"]
    assert [row["remedy"] for row in tried] == ["", "lstm_chrono"]
    assert f"report: {tmp_path}/out/index.html" in result.stderr


def test_data_and_loss_by_name(file):
    result = invoke(
        "diagnose", f"{file}:model_alone", "--data", f"{file}:batches", "--loss", f"{file}:loss",
        "--updates", 2,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "rnn (GRU)" in result.output


def test_a_criterion_is_a_loss_too(file):
    with_loss = invoke("diagnose", f"{file}:make", "--loss", f"{file}:loss", "--updates", 2)
    by_criterion = invoke("diagnose", f"{file}:make", "--loss", f"{file}:criterion", "--updates", 2)
    assert by_criterion.output == with_loss.output
    assert "vanishing" in with_loss.output


def test_the_seed_decides_the_weights(file):
    arguments = ("diagnose", f"{file}:make", "--updates", 1)
    assert invoke(*arguments, "--seed", 1).output == invoke(*arguments, "--seed", 1).output
    assert invoke(*arguments, "--seed", 1).output != invoke(*arguments, "--seed", 2).output


def test_remedies_are_tried(file):
    result = invoke("diagnose", f"{file}:make", "--updates", 1, "--try", 2, "--try-updates", 4)
    assert result.exit_code == 0, result.output
    assert "Remedies, 4 updates each:" in result.output
    assert "- as it is: loss" in result.output
    assert words(result.output).count("; gone: ") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "should be package.module:name"),
        (["no/such/file.py:make"], "there is no file"),
        (["{file}:mak"], "has no 'mak'; did you mean 'make'"),
        (["{file}:nothing"], "the factory returns an object of type int"),
        (["{file}:model_alone"], "name its batches with --data"),
        (
            ["{file}:make", "--fail-on", "explodin"],
            "there is no finding called 'explodin'; did you mean 'exploding'",
        ),
        (["no_such_package.module:make"], "importing no_such_package.module failed"),
        (["{file}:make", "--fail-on", ""], "there is no finding called ''"),
        (["{file}:make", "--out", "{file}"], "exists and holds something else"),
        (
            ["{file}:make", "--loss", "{file}:wrong_loss"],
            "gives a tensor (8,) with gradient; it should be a scalar",
        ),
        (["{file}:make", "--loss", "{file}:float_loss"], "the loss gives a float"),
        (
            ["{file}:make", "--loss", "{file}:broken_loss"],
            "raised RuntimeError: The size of tensor a",
        ),
        (["{file}:broken"], "raised ZeroDivisionError"),
        (["{file}:linear"], "no recurrence was found in Linear"),
        (["{file}:make", "--depth", "rnn"], "'rnn' is a RNN, not a Sequential or ModuleList"),
        (
            ["{file}:make", "--loops", "ont"],
            "loops: the model has no module 'ont'; did you mean 'out",
        ),
        (["{file}:make", "--loops", "out", "--no-loops"], "--loops and --no-loops: give one"),
        (["{file}:make", "--device", "abacus"], "the device 'abacus' cannot be used here"),
    ],
)
def test_bad_input_is_named(file, arguments, message):
    assert message in refused("diagnose", *(text.format(file=file) for text in arguments))


@pytest.mark.parametrize(
    ("options", "found"),
    [([], ["rnn", "other"]), (["--loops", "net"], ["rnn", "net"]), (["--no-loops"], ["rnn"])],
)
def test_loops_are_looked_for_named_or_left_alone(file, options, found):
    result = invoke("diagnose", f"{file}:looped", "--updates", "1", "--json", *options)
    assert json.loads(result.stdout)["recurrences"] == found


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import sys; sys.exit(3)", "FACTORY 'leaves.py:make' raised SystemExit: 3"),
        (
            "from torch import nn; return nn.LSTM(2, 3, device='meta'), [1]",
            "weight_ih_l0 is on the device meta, which holds shapes and no numbers",
        ),
        (
            "import torch; return Leaving(), [(torch.zeros(3, 1, 2), torch.zeros(3, 1, 2))]",
            "the model, its data or its loss raised SystemExit: 5",
        ),
    ],
)
def test_what_a_model_does_to_its_process_is_one_message(body, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaves.py").write_text(
        "from torch import nn\n\nclass Leaving(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.rnn = nn.RNN(2, 2)\n\n"
        f"    def forward(self, x):\n        raise SystemExit(5)\n\ndef make():\n    {body}\n"
    )
    assert said in refused("diagnose", "leaves.py:make")
