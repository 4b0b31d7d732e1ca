"""The minimal gated unit."""

import torch

from tests.conftest import build, draw


def test_mgu_is_a_gru_with_one_gate():
    mgu, gru = build("mgu"), build("gru_original")
    for name in ("weight_ih", "weight_hh", "bias_ih"):
        f, n = getattr(mgu, name).detach().chunk(2)
        getattr(gru, name).data = torch.cat((f, -f, n))
    x, s = draw(5, 3), draw(5, 4, seed=1)
    torch.testing.assert_close(gru(x, s), mgu(x, s))
