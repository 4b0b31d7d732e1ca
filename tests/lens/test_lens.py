"""A lens: applied, merged, saved and loaded."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import gradscope
from gradscope.errors import GradscopeError
from tests.conftest import build, draw


@pytest.fixture
def lens():
    trace = gradscope.unroll(build("gru", hidden_size=4, input_size=3), draw(5, 6, 3))
    return gradscope.depth_lens(trace)


def test_it_is_exact_at_the_mean_and_linear(lens):
    torch.testing.assert_close(lens(lens.mean_state[2], 2), lens.mean_state[-1])
    h, v = draw(3, 7, 4), draw(3, 7, 4, seed=1)
    moved = lens(h + v, 2) - lens(h, 2)
    torch.testing.assert_close(moved, v @ lens.mean[2].mT)
    assert lens(h.float(), 0).dtype == torch.float32
    assert "5 layers, 4 channels" in repr(lens)


def test_a_file_holds_all_of_it(lens, tmp_path):
    path = lens.save(tmp_path / "lens.safetensors")
    loaded = gradscope.DepthLens.load(path)
    for name in ("mean", "squares", "mean_state"):
        assert torch.equal(getattr(loaded, name), getattr(lens, name))
    assert (loaded.sequences, loaded.tokens, loaded.position) == (6, 6, "same")
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["samples"] == (
            '{"layers": 5, "channels": 4, "sequences": 6, "tokens": 6}'
        )
        torch.testing.assert_close(file.get_tensor("standard_error"), lens.standard_errors())
        torch.testing.assert_close(file.get_tensor("bias")[1], lens.bias(1))


def test_what_is_no_lens_is_named(lens, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"mean": torch.ones(1)}, path)
    with pytest.raises(GradscopeError, match="not a lens"):
        gradscope.DepthLens.load(path)
    whole = lens.save(tmp_path / "lens.safetensors").read_bytes()
    path.write_bytes(whole[:-100])
    for broken in (path, tmp_path / "missing"):
        with pytest.raises(GradscopeError, match="cannot be read as a lens"):
            gradscope.DepthLens.load(broken)


def test_what_does_not_fit_is_named(lens):
    with pytest.raises(GradscopeError, match=r"layers 0\.\.4, got 5"):
        lens(torch.ones(4), 5)
    with pytest.raises(GradscopeError, match="of 4 channels"):
        lens(torch.ones(3), 0)
    other = gradscope.depth_lens(
        gradscope.unroll(build("gru", hidden_size=4, input_size=3), draw(4, 6, 3))
    )
    with pytest.raises(GradscopeError, match="cannot be merged"):
        lens.merge(other)
