"""Non-normality: normal matrices say so, and the bounds hold."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.dynamics import non_normality
from gradscope.errors import GradscopeError
from tests.conftest import draw


@pytest.mark.parametrize("kind", ["orthogonal", "symmetric", "diagonal"])
def test_normal_matrices(kind):
    a = draw(6, 6)
    a = {"orthogonal": torch.linalg.qr(a)[0], "symmetric": a + a.T, "diagonal": torch.diag(a[0])}[
        kind
    ]
    found = non_normality(a)
    assert found.henrici_relative < 1e-6
    assert found.spectral_radius == pytest.approx(found.spectral_norm)
    assert found.numerical_radius == pytest.approx(found.spectral_norm)
    inside = non_normality(0.5 * a / found.spectral_norm)
    assert inside.kreiss == pytest.approx(1, abs=1e-6)


def test_nilpotent_shift():
    """Eigenvalues 0, norm a: henrici is the whole Frobenius norm; the numerical radius of a shift
    is a cos(pi / (N + 1)).
    """
    a, n = 3.0, 5
    found = non_normality(a * torch.diag(torch.ones(n - 1, dtype=torch.float64), -1))
    assert found.spectral_radius == 0
    assert found.henrici == pytest.approx(a * math.sqrt(n - 1))
    assert found.henrici_relative == pytest.approx(1)
    assert found.numerical_radius == pytest.approx(a * math.cos(math.pi / (n + 1)), rel=1e-6)
    assert found.spectral_norm == pytest.approx(a)


@given(st.integers(2, 6), st.integers(0, 40))
def test_kreiss_is_below_the_largest_power_and_the_radii_are_ordered(size, seed):
    a = draw(size, size, seed=seed)
    a = 0.9 * a / torch.linalg.eigvals(a).abs().max()
    found = non_normality(a)
    largest, power = 1.0, torch.eye(size, dtype=torch.float64)
    for _ in range(300):
        power = a @ power
        largest = max(largest, float(torch.linalg.matrix_norm(power, 2)))
    assert 1 <= found.kreiss <= largest * (1 + 1e-9)
    assert (
        largest <= math.e * size * found.kreiss * 1.05
    )  # Kreiss' theorem, with slack for the search
    assert found.spectral_radius <= found.numerical_radius * (1 + 1e-9)
    assert found.numerical_radius <= found.spectral_norm * (1 + 1e-9)
    assert found.numerical_abscissa <= found.numerical_radius * (1 + 1e-9)


def test_kreiss_is_infinite_outside_the_unit_circle():
    assert non_normality(1.5 * torch.eye(3)).kreiss == math.inf


def test_without_kreiss_the_rest_is_the_same():
    a = draw(5, 5, seed=1)
    whole, rest = vars(non_normality(a)), vars(non_normality(a, kreiss=False))
    assert math.isnan(rest.pop("kreiss"))
    assert rest == {key: whole[key] for key in rest}


def test_errors():
    with pytest.raises(GradscopeError, match="finite square matrix"):
        non_normality(torch.ones(2, 3))
    with pytest.raises(GradscopeError, match="finite square matrix"):
        non_normality(torch.full((2, 2), torch.nan))
