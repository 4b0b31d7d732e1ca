"""A checkpoint beside which a model is audited."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from tests.auditing.models import PUBLISHED, Heads


def test_a_checkpoint_is_audited_beside_it(tmp_path):
    model, other = PUBLISHED(), nn.Sequential(Heads(0.1, [1.0, 2.0, 4.0, 16.0]))
    save_file(other.state_dict(), tmp_path / "other.safetensors")
    wrapped = {f"module.{name}": value for name, value in other.state_dict().items()}
    torch.save({"state_dict": wrapped}, tmp_path / "other.pt")
    for source in (tmp_path / "other.safetensors", str(tmp_path / "other.pt"), other.state_dict()):
        audit = gradscope.audit(model, against=source)
        assert audit.against[0].longest == pytest.approx(10, rel=1e-4)
        assert audit.memories[0].longest == pytest.approx(100, rel=1e-4)
        assert "longest there" in str(audit)
        assert not audit.notes


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path):
    model = PUBLISHED()
    (tmp_path / "words.pt").write_text("no weights")
    save_file({"0.A_log": torch.zeros(3)}, tmp_path / "short.safetensors")
    wrong = {
        tmp_path / "absent.pt": "there is no such file",
        tmp_path / "words.pt": "is no checkpoint of weights",
        tmp_path / "short.safetensors": r"0.A_log is \(3,\) in the checkpoint and \(4,\) in",
    }
    for source, said in wrong.items():
        with pytest.raises(GradscopeError, match=said):
            gradscope.audit(model, against=source)
    with pytest.raises(GradscopeError, match="no weight of the checkpoint has a name of"):
        gradscope.audit(model, against={"strange": torch.zeros(2)})
    partial = gradscope.audit(model, against={"0.A_log": torch.zeros(4)})
    assert partial.notes == ["1 weights are not in the checkpoint (0.dt_bias)"]
