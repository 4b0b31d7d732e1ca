"""DepthLens: the mean Jacobian from every layer to the last, applied, saved and loaded."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gradscope.errors import GradscopeError

#: what a file of a lens says that it is
_FORMAT = "gradscope.depth_lens/1"
_TENSORS = ("mean", "squares", "mean_state")


@dataclass(eq=False)
class DepthLens:
    """E[d h_L / d h_l], a matrix for each layer: the best linear guess of the last activation.

    Near the mean activation, h_L is about E[d h_L / d h_l] h_l + b_l; with an unembedding W_U,
    logits are about W_U lens(h, l). Made by ``gradscope.depth_lens``; means and squared deviations
    are kept so that more recordings can be added.

        lens = gradscope.depth_lens(scope.trace("blocks.depth"))
        guess = lens(h, layer=3)             # (..., channel)
        lens.save("lens.safetensors")
        lens = gradscope.DepthLens.load("lens.safetensors")

    Attributes:
        mean: E[d h_L / d h_l], axes (layer, out, in), for l = 0 .. L - 1.
        squares: sums of squared deviations from it, over sequences.
        mean_state: E[h_l] for l = 0 .. L.
        sequences: how many were averaged; the positions of one are averaged first, as they are not
            independent.
        tokens: how many positions there were in all.
        position: which derivative, as ``gradscope.depth_lens`` says.
    """

    mean: Float[Tensor, "layer channel channel"]
    squares: Float[Tensor, "layer channel channel"]
    mean_state: Float[Tensor, "layer1 channel"]
    sequences: int
    tokens: int
    position: str

    def __repr__(self) -> str:
        layers, size = self.mean.shape[:2]
        return (
            f"DepthLens({layers} layers, {size} channels, mean over {self.sequences} sequences, "
            f"{self.tokens} tokens, position {self.position!r})"
        )

    @property
    def layers(self) -> int:
        """L, the number of layers."""
        return len(self.mean)

    def standard_errors(self) -> Float[Tensor, "layer channel channel"]:
        """Of every entry of the mean, from how sequences differ; NaN of a single sequence."""
        if self.sequences < 2:
            return torch.full_like(self.mean, math.nan)
        return (self.squares / (self.sequences - 1) / self.sequences).sqrt()

    def bias(self, layer: int) -> Float[Tensor, " channel"]:
        """b_l = E[h_L] - E[d h_L / d h_l] E[h_l]."""
        self._check(layer)
        return self.mean_state[-1] - self.mean[layer] @ self.mean_state[layer]

    def __call__(
        self, h: Float[Tensor, "*any channel"], layer: int
    ) -> Float[Tensor, "*any channel"]:
        """E[d h_L / d h_l] h + b_l: the guess of the last activation from that of a layer.

        Args:
            h: activations before layer ``layer`` + 1, channels last.
            layer: l, from 0.

        Raises:
            GradscopeError: for a layer or a number of channels that the lens does not have.
        """
        self._check(layer)
        size = self.mean.shape[-1]
        if h.shape[-1] != size:
            raise GradscopeError(f"the lens is of {size} channels, got {tuple(h.shape)}")
        return h @ self.mean[layer].mT.to(h) + self.bias(layer).to(h)

    def _check(self, layer: int) -> None:
        if not 0 <= layer < self.layers:
            raise GradscopeError(f"the lens has layers 0..{self.layers - 1}, got {layer}")

    def merge(self, other: DepthLens) -> None:
        """Take in the sequences of another lens of the same stack.

        Raises:
            GradscopeError: if it is of another size or derivative.

        Reference: Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance.
        """
        if other.mean.shape != self.mean.shape or other.position != self.position:
            raise GradscopeError(f"{other!r} cannot be merged into {self!r}")
        count = self.sequences + other.sequences
        weight = other.sequences / count
        apart = other.mean.to(self.mean) - self.mean
        self.squares += other.squares.to(self.mean) + apart.square() * (self.sequences * weight)
        self.mean += apart * weight
        by_token = other.tokens / (self.tokens + other.tokens)
        self.mean_state += (other.mean_state.to(self.mean) - self.mean_state) * by_token
        self.sequences, self.tokens = count, self.tokens + other.tokens

    # --- files ------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write it as safetensors, with the layers, channels and numbers of samples as metadata.

        Tensors are ``mean``, ``squares``, ``mean_state``, ``standard_error`` and ``bias``.

        Returns:
            The path.
        """
        biases = torch.stack([self.bias(layer) for layer in range(self.layers)])
        tensors = {name: getattr(self, name).contiguous() for name in _TENSORS}
        tensors |= {"standard_error": self.standard_errors().contiguous(), "bias": biases}
        said = {
            "layers": self.layers,
            "channels": self.mean.shape[-1],
            "sequences": self.sequences,
            "tokens": self.tokens,
        }
        metadata = {"format": _FORMAT, "position": self.position, "samples": json.dumps(said)}
        save_file({name: value.cpu() for name, value in tensors.items()}, path, metadata)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> DepthLens:
        """Read one that was saved.

        Raises:
            GradscopeError: if the file is no lens, or is damaged.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != _FORMAT:
                    raise GradscopeError(f"{path} is not a lens that gradscope saved")
                said = json.loads(metadata["samples"])
                tensors = {name: file.get_tensor(name) for name in _TENSORS}
                position = metadata["position"]
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise GradscopeError(f"{path} cannot be read as a lens: {error}") from error
        return cls(
            mean=tensors["mean"],
            squares=tensors["squares"],
            mean_state=tensors["mean_state"],
            sequences=int(said["sequences"]),
            tokens=int(said["tokens"]),
            position=position,
        )
