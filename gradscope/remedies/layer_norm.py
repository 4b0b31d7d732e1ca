"""Normalised layers."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("layer_norm")
class LayerNorm(Remedy):
    """Normalise what goes into the layer (nn.LayerNorm)."""
