"""gradscope audit."""

import json

import pytest

from tests.cli.conftest import invoke, refused

FILE = """
import math
import torch
from torch import nn


class Mixer(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.A_log = nn.Parameter(torch.arange(1.0, 9.0).log())
        self.dt_bias = nn.Parameter(torch.full((8,), math.log(math.expm1(step))))


def wrong():
    return Mixer(1.3133)


def published():
    return nn.ModuleDict({"mixer": Mixer(0.01)})


def other():
    torch.save(nn.ModuleDict({"mixer": Mixer(0.1)}).state_dict(), "other.pt")
    return published()


def nothing():
    return nn.Linear(2, 2)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mixers.py"
    path.write_text(FILE)
    return path


def test_a_fault_is_said_and_fails(file):
    result = invoke("audit", f"{file}:wrong")
    assert result.exit_code == 1
    assert "fault: heads forget at Mixer: 8 of 8 heads" in " ".join(result.output.split())


def test_no_fault_is_no_failure(file):
    result = invoke("audit", f"{file}:published")
    assert result.exit_code == 0, result.output
    assert "nothing wrong was found" in result.output
    assert invoke("audit", f"{file}:published", "--length", 10_000).exit_code == 1


def test_json_and_a_checkpoint(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    invoke("audit", f"{file}:other")
    result = invoke("audit", f"{file}:published", "--against", "other.pt", "--json")
    content = json.loads(result.stdout)
    longest = [content[side][0]["horizon_longest"] for side in ("recurrences", "against")]
    assert longest == pytest.approx([100, 10], rel=1e-3)


def test_bad_input_is_refused(file):
    assert "has no recurrence" in refused("audit", f"{file}:nothing")
    assert "there is no such file" in refused("audit", f"{file}:published", "--against", "no.pt")
