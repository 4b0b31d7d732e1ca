"""Kreiss' constant against a dense search, and where it is known."""

import math

import numpy as np
import pytest

from gradscope.dynamics.kreiss import kreiss_constant


def rotation(size, seed):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


def jordan(eigenvalue, size, coupling=1.0):
    return eigenvalue * np.eye(size) + coupling * np.diag(np.ones(size - 1), 1)


def plane(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def searched(matrix):
    """The largest ratio on a dense grid, finest around the angles of the eigenvalues."""
    near = np.geomspace(1e-9, 0.3, 30)
    angles = [np.linspace(0, np.pi, 100)]
    for eigenvalue in np.linalg.eigvals(matrix):
        angles += [np.angle(eigenvalue) + side * near for side in (-1, 0, 1)]
    angles, best = np.unique(np.concatenate(angles)), 1.0
    for distance in np.geomspace(1e-9, 10, 60):
        z = (1 + distance) * np.exp(1j * angles)
        values = np.linalg.svd(z[:, None, None] * np.eye(len(matrix)) - matrix, compute_uv=False)
        best = max(best, float((distance / values[:, -1]).max()))
    return best


def two_peaks(near, coupling, far=0.2, wide=4.0):
    """A wide peak at angle 0, and one as narrow as ``near`` at angle 2."""
    matrix = np.zeros((6, 6))
    matrix[:2, :2] = jordan(1 - far, 2, wide)
    matrix[2:4, 2:4] = matrix[4:, 4:] = (1 - near) * plane(2.0)
    matrix[2:4, 4:] = coupling * np.eye(2)
    return matrix


CASES = {
    "random": 0.3 * np.random.default_rng(3).normal(size=(6, 6)),
    "block": jordan(0.9, 3),
    "larger block": jordan(0.9, 5),
    "wide peak only": two_peaks(1e-6, 1e-5),
    "narrow peak": two_peaks(1e-4, 1.0),
    "narrower peak": two_peaks(1e-6, 0.1),
    "narrow peak, barely higher": two_peaks(3e-5, 1e-3, 0.3, 8.0),
}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_it_is_the_largest_of_a_dense_search(case, turned):
    matrix = CASES[case]
    if turned:
        basis = rotation(len(matrix), 1)
        matrix = basis @ matrix @ basis.T
    found, dense = kreiss_constant(matrix), searched(matrix)
    assert dense * (1 - 1e-6) <= found <= dense * 1.05  # the grid's points lie beside the peaks


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("radius", [0.0, 0.5, 1.0])
def test_normal_matrices_never_grow(size, radius):
    assert kreiss_constant(radius * rotation(size, 0)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("eigenvalue", [1.001, -1.5, 1 + 1e-9])
def test_unstable_matrices(eigenvalue):
    diagonal = np.diag([eigenvalue, 0.5, 0.1])
    basis = rotation(3, 2)
    assert kreiss_constant(basis @ diagonal @ basis.T) == math.inf


@pytest.mark.parametrize(("eigenvalue", "size"), [(0.99, 4), (0.95, 8), (0.9, 8), (0.95, 12)])
def test_turned_blocks_are_stable_whatever_their_computed_eigenvalues_say(eigenvalue, size):
    """Rounding moves the eigenvalues of a block by eps^(1/size), some of them past the circle.

    K is at most sup_k ||A^k||, of the block before it was turned, whose powers are known exactly:
    their entries are binomials times powers of the eigenvalue.
    """
    basis = rotation(size, 4)
    found = kreiss_constant(basis @ jordan(eigenvalue, size) @ basis.T)
    powers = range(1, int(20 * size / (1 - eigenvalue)))
    largest = max(
        math.comb(k, size - 1) * eigenvalue ** (k - size + 1) for k in powers if k >= size
    )
    assert 1 < found < size * largest
    assert found > 1e-3 * min(largest, 1e12) / (math.e * size)


def test_shift():
    """a times a nilpotent shift of five: a^4 is the largest power, and K is at most that."""
    assert 1 < kreiss_constant(np.diag(3 * np.ones(4), -1)) <= 81
