"""Transitions: the matrices A_t of a recurrence S_t = A_t S_{t-1} + B_t, by their structure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.scaled import Scaled, rescaled
from gradscope.errors import GradscopeError


@dataclass(frozen=True, eq=False)
class Transitions:
    """A_t of every step, sequence and head: a diagonal and a product of low rank, on the key axis.

        A_t = diag(e^log_diagonal) + e^log_scale left right^T,
        log_scale = max over the key axis of log_diagonal

    S_t = A_t S_{t-1} + B_t has a state of ``(key, value)`` for each head. A_t acts on the key axis
    and is the same for all value columns, so that J_t = A_t (x) I: norms, singular values and
    exponents of the whole state are those of products of A_t, with (key, key) entries and not
    (key value, key value). A decay is kept by its logarithm, as e^-900 is no float.

    ======================  =====================  =======================  ====================
    recurrence              e^log_diagonal         left                     right
    ======================  =====================  =======================  ====================
    Mamba-2, mLSTM, RetNet  a_t, one of a head     rank 0                   rank 0
    Mamba-1, GLA, RWKV-6    a_t, one of a key      rank 0                   rank 0
    DeltaNet                1                      -beta_t k_t              k_t
    Gated DeltaNet          a_t                    -beta_t k_t              k_t
    KDA                     a_t, one of a key      -beta_t k_t              a_t k_t / max a_t
    RWKV-7                  w_t, one of a key      b_t                      a_t / max w_t
    ======================  =====================  =======================  ====================

    Shapes: log_diagonal ``(*steps, head, key)``, or ``(*steps, head, 1)`` where it is the same for
    all keys, nats; left and right ``(*steps, head, key, rank)``.

    >>> import math
    >>> decay = torch.full((3, 1, 1), math.log(0.5))
    >>> none = torch.zeros(3, 1, 2, 0)
    >>> Transitions(decay, none, none).dense()[0, 0]
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]])

    Reference: Yang et al. (2024), Parallelizing linear transformers with the delta rule over
    sequence length; Yang, Kautz and Hatamizadeh (2025), Gated delta networks.
    """

    log_diagonal: Float[Tensor, "*steps head axis"]
    left: Float[Tensor, "*steps head key rank"]
    right: Float[Tensor, "*steps head key rank"]

    @classmethod
    def diagonal_of(cls, log_diagonal: Float[Tensor, "*steps head axis"], key: int) -> Transitions:
        """Those that are diagonal."""
        none = log_diagonal.new_zeros(*log_diagonal.shape[:-1], key, 0)
        return cls(log_diagonal, none, none)

    @property
    def heads(self) -> int:
        """Number of heads."""
        return self.left.shape[-3]

    @property
    def key(self) -> int:
        """Length of the key axis."""
        return self.left.shape[-2]

    @property
    def rank(self) -> int:
        """Rank of what is not diagonal."""
        return self.left.shape[-1]

    @property
    def is_scalar(self) -> bool:
        """Whether a head's diagonal is one number."""
        return self.log_diagonal.shape[-1] == 1

    def __getitem__(self, index: int | slice | Tensor | tuple[slice, ...]) -> Transitions:
        """Some of the steps, by an index into the leading axes."""
        return Transitions(self.log_diagonal[index], self.left[index], self.right[index])

    def of_heads(self, heads: list[int]) -> Transitions:
        """Those of some heads."""
        at = torch.tensor(heads, device=self.left.device)
        decay = self.log_diagonal.index_select(-2, at)
        left, right = (factor.index_select(-3, at) for factor in (self.left, self.right))
        return Transitions(decay, left, right)

    @property
    def log_scale(self) -> Float[Tensor, "*steps head"]:
        """ln of the largest entry of the diagonal, nats; 0 where all of it is zero."""
        largest = self.log_diagonal.amax(-1)
        return torch.where(largest.isfinite(), largest, torch.zeros_like(largest))

    def over_scale(self) -> Float[Tensor, "*steps head axis"]:
        """The diagonal over e^log_scale: between 0 and 1."""
        return (self.log_diagonal - self.log_scale[..., None]).exp()

    # --- one step ---------------------------------------------------------------------------------

    def mv(self, s: Float[Tensor, "*steps head key column"]) -> Float[Tensor, "*steps head key c"]:
        """A_t S, every column by itself."""
        return self._applied(self.left, self.right, s)

    def transpose_mv(
        self, a: Float[Tensor, "*steps head key column"]
    ) -> Float[Tensor, "*steps head key c"]:
        """A_t^T G, every column by itself."""
        return self._applied(self.right, self.left, a)

    def _applied(self, left: Tensor, right: Tensor, s: Tensor) -> Tensor:
        moved = self.log_diagonal.exp()[..., None] * s
        if self.rank:
            scale = self.log_scale.exp()[..., None, None]
            moved = moved + (left * scale) @ (right.mT @ s)
        return moved

    def dense(self) -> Float[Tensor, "*steps head key key"]:
        """A_t as plain matrices."""
        diagonal = self.log_diagonal.exp().expand(*self.log_diagonal.shape[:-1], self.key)
        scale = self.log_scale.exp()[..., None, None]
        return torch.diag_embed(diagonal) + scale * (self.left @ self.right.mT)

    def after(self, earlier: Transitions) -> Transitions:
        """A_t A'_t of two updates within one step, of which the later has a scalar diagonal.

        With A = a I + L R^T and A' = D' + L' R'^T, as for a product of Householder matrices in the
        WY form,

            A A' = a D' + U V^T        U = [a L', L]        V = [R', D' R + R' (L'^T R)]
        """
        if not self.is_scalar:
            raise GradscopeError("the later of two updates needs one decay for all keys of a head")
        diagonal = earlier.over_scale()[..., None] * self.right
        carried = diagonal + earlier.right @ (earlier.left.mT @ self.right)
        both = Transitions(
            self.log_diagonal + earlier.log_diagonal,
            torch.cat((earlier.left * self.over_scale()[..., None], self.left), dim=-1),
            torch.cat((earlier.right, carried), dim=-1),
        )
        # 0 but where a diagonal is zero, whose scale is not that of the others
        left_over = self.log_scale + earlier.log_scale - both.log_scale
        return replace(both, left=both.left * left_over.exp()[..., None, None])

    # --- what a step does -------------------------------------------------------------------------

    def eigenvalue_moduli(self) -> Float[Tensor, "*steps head key"]:
        """|eigenvalues| of A_t, descending.

        Of a scalar diagonal and rank 1 in closed form: a, and |a| |1 + right . left|; of what is
        diagonal its entries; of anything else numerically in float64.
        """
        if not self.rank:
            moduli = self.log_diagonal.exp().expand(*self.log_diagonal.shape[:-1], self.key)
            return moduli.sort(dim=-1, descending=True).values
        scale = self.log_scale.exp()[..., None]
        if self.is_scalar and self.rank == 1:
            along = (self.left * self.right).sum((-2, -1)) + 1
            rest = scale.expand(*scale.shape[:-1], self.key - 1)
            moduli = torch.cat((rest, scale * along[..., None].abs()), dim=-1)
            return moduli.sort(dim=-1, descending=True).values
        matrices = self.dense().double()
        moduli = torch.linalg.eigvals(matrices).abs().sort(dim=-1, descending=True).values
        return moduli.to(self.left.dtype)

    # --- products ---------------------------------------------------------------------------------

    def products_back(self, lags: list[int]) -> list[Scaled]:
        """A_T A_{T-1} ... A_{T-lag+1} for each lag, ascending; shapes ``(*batch, head, key, key)``.

        One sweep back from the last step, rank by rank: no product of two full matrices.

        Args:
            lags: ascending, from 0 on; the first leading axis is time.
        """
        time, shape = len(self.left), (*self.left.shape[1:-2], self.key, self.key)
        eye = torch.eye(self.key, dtype=self.left.dtype, device=self.left.device)
        product = eye.expand(shape).clone()
        log_scale = self.log_scale.new_zeros(shape[:-2], dtype=torch.float64)
        wanted, products = set(lags), []
        diagonal, scales = self.over_scale(), self.log_scale.double()
        for lag in range(max(lags) + 1):
            if lag:
                at = time - lag
                before = product
                product = before * diagonal[at][..., None, :]
                if self.rank:
                    product = product + (before @ self.left[at]) @ self.right[at].mT
                log_scale = log_scale + scales[at]
                product, log_scale = _kept(product, log_scale)
            if lag in wanted:
                products.append(Scaled(product.clone(), log_scale.clone()))
        return products

    def log_norms(self, lags: list[int]) -> Float[Tensor, "lags *batch head"]:
        """ln ||A_T ... A_{T-lag+1}||, the largest singular value, nats; -inf where it is zero.

        What is diagonal is added up by its logarithms, at any size.

        Args:
            lags: ascending, from 0 on; the first leading axis is time.
        """
        if not self.rank:
            back = self.log_diagonal.double().flip(0).cumsum(0)
            start = torch.zeros_like(back[:1])
            sums = torch.cat((start, back))[torch.tensor(lags, device=back.device)]
            return sums.amax(-1)
        return torch.stack([product.log_spectral_norm() for product in self.products_back(lags)])


def _kept(product: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
    """A running product in the range in which it is safe."""
    kept = rescaled(product, log_scale)
    return kept.mantissa, kept.log_scale
