"""From norms to an influence: what is comparable, and what is noted."""

import numpy as np
import pytest
import torch

from gradscope.errors import GradscopeError
from gradscope.influencing._asked import Asked
from gradscope.influencing._given import Given
from gradscope.influencing._leaf import Leaf
from gradscope.influencing._measured import by_layer, measured
from gradscope.influencing._view import View

X = torch.randn(4, 20, 3, dtype=torch.float64)


def found(compute, **options):
    asked, leaf = Asked(**options), Leaf(Given((X,), {}, 0, X, None))
    output = compute(leaf.take(X))
    view = View.of(output, leaf, asked)
    return measured(view, view.value, "a sum", asked)


def mean_so_far(x):
    return x.cumsum(1) / torch.arange(1, 21)[:, None]


def test_outputs_of_another_scale_are_not_mixed():
    """Each output weighs its past equally, and early ones weigh it more: there is no decay."""
    one = found(mean_so_far, positions="all", cotangents="exact")
    assert one.profile.longest == 15
    assert np.ptp(one.log_norms[:16]) < 1e-9
    assert one.by_position.loc[0, 0] == pytest.approx(np.log(3) / 2)
    assert one.by_position.loc[19, 7] == pytest.approx(np.log(3) / 2 - np.log(20))
    chosen = found(mean_so_far, positions=[0, 19])
    assert chosen.profile.longest == 0
    assert "measures are of lags up to 0" in chosen.notes[0]


def test_the_estimator_is_said():
    assert found(mean_so_far).estimator.startswith("estimated for 5 outputs of each of 4 examples")
    assert "by 1 random cotangent (signs)" in found(mean_so_far, cotangents=1).estimator
    assert found(mean_so_far, cotangents="exact").estimator.startswith("exact for 5 outputs")
    assert found(mean_so_far, cotangents=3).estimator.startswith("exact")  # of three numbers


@pytest.mark.parametrize("cotangents", [0, 1.5, "all"])
def test_cotangents_are_a_number(cotangents):
    with pytest.raises(GradscopeError, match="should be a number of at least 1, or 'exact'"):
        Asked(cotangents=cotangents)


def test_what_does_not_depend_on_its_input_is_noted():
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
    one = found(lambda x: x.detach() * weight, batch_first=True)
    assert "does not depend on the inputs at all" in one.notes[0]
    assert "exactly zero" in str(one)


def test_without_layers_there_are_none():
    assert by_layer(None, {}, Asked()) is None
