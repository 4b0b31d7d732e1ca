"""A rectifier that leaks."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("leaky_relu")
class LeakyRelu(Remedy):
    """Use a rectifier with a slope below 0 (gradscope's rnn has leaky_relu and elu)."""

    of = ("RNN",)
