"""Selective copying."""

from hypothesis import given
from hypothesis import strategies as st

from tests.tasks._draw import sample


@given(st.integers(0, 500))
def test_the_symbols_are_asked_for_in_their_order(seed):
    _, batch = sample({"name": "selective_copy", "length": 14, "symbols": 4}, seed)
    for column, target in zip(batch.inputs.T.tolist(), batch.targets.T.tolist(), strict=True):
        assert [x for x in column[:14] if x] == target
        assert column[14] == 9
        assert not any(column[15:])
    assert batch.steps.tolist() == [14, 15, 16, 17]
