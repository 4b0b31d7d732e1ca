"""Covariant Lyapunov vectors: mapped onto each other, and known for a constant matrix."""

import pytest
import torch

from gradscope.dynamics import (
    covariant_lyapunov_vectors,
    lyapunov_spectrum,
    step_jacobians,
    unroll,
)
from gradscope.errors import GradscopeError
from tests.conftest import build, draw
from tests.dynamics.conftest import repeated


def test_covariant_vectors_are_covariant_and_grow_by_their_exponents():
    trace = unroll(build("rnn", 3, 5), draw(600, 1, 3))
    jacobians = step_jacobians(trace)
    found = covariant_lyapunov_vectors(trace)
    for place in range(0, len(found.times) - 1, 37):
        t = found.times[place]
        mapped = jacobians[t, 0] @ found.vectors[place, 0]
        mapped = mapped / mapped.norm(dim=0)
        overlap = (mapped * found.vectors[place + 1, 0]).sum(0).abs()
        torch.testing.assert_close(overlap, torch.ones(5, dtype=torch.float64), rtol=0, atol=1e-8)
    # the vector at t grows into the one at t + 1: the exponents are the means of the logarithms of
    # that
    growth = torch.stack(
        [
            (jacobians[t, 0] @ v[0]).norm(dim=0).log()
            for t, v in zip(found.times, found.vectors, strict=True)
        ]
    )
    torch.testing.assert_close(found.exponents[0], growth[:-1].mean(0), rtol=0, atol=0.05)
    torch.testing.assert_close(
        found.exponents[0], lyapunov_spectrum(trace, burn_in=150).exponents, rtol=0.05, atol=0.05
    )


def test_covariant_vectors_of_a_constant_matrix_are_its_eigenvectors():
    w = draw(4, 4)
    w = w + w.T  # real eigenvalues
    values, vectors = torch.linalg.eigh(w)
    order = values.abs().argsort(descending=True)
    found = covariant_lyapunov_vectors(repeated(w, 400)).vectors[50, 0]
    overlap = (found * vectors[:, order]).sum(0).abs()
    torch.testing.assert_close(overlap, torch.ones(4, dtype=torch.float64), rtol=0, atol=1e-8)


def test_the_first_vectors_are_those_of_the_whole():
    trace = unroll(build("rnn", 3, 5), draw(300, 1, 3))
    few, every = covariant_lyapunov_vectors(trace, k=2), covariant_lyapunov_vectors(trace)
    assert few.times == every.times == list(range(76, 226))
    overlap = (few.vectors[75, 0] * every.vectors[75, 0, :, :2]).sum(0).abs()
    torch.testing.assert_close(overlap, torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-6)


def test_errors_name_the_cause():
    singular = repeated(torch.diag(torch.tensor([1.0, 0.5, 0.0])), 20)
    with pytest.raises(GradscopeError, match="singular"):
        covariant_lyapunov_vectors(singular)
    with pytest.raises(GradscopeError, match="leaves nothing"):
        covariant_lyapunov_vectors(repeated(torch.eye(3), 20), burn_in=10)
