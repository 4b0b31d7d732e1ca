"""The delayed exclusive or."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.tasks._draw import sample


@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 500))
def test_the_answer_is_due_after_the_delay(length, extra, seed):
    _, batch = sample({"name": "delayed_xor", "length": length, "extra": extra}, seed)
    bits = (batch.inputs > 0).long()
    assert batch.steps.tolist() == list(range(length, length + extra))
    for place, step in enumerate(batch.steps.tolist()):
        assert torch.equal(
            batch.targets[place], bits[step - length, :, 0] ^ bits[step - length, :, 1]
        )
