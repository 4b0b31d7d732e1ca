"""A plain float32 product, which underflows."""

from __future__ import annotations

import torch

import gradscope
from benchmarks.dynamics_shared import (
    tanh_net,
)
from benchmarks.timing import once


def plain_product(hidden: int, lag: int, longest: int) -> None:
    """What a plain loop gives where the gradient has vanished, and what its steps cost once its
    numbers are subnormal.
    """
    print(
        f"\nplain float32 product at lag {lag} and on, tanh at gain 0.9 with unit drive, {hidden}"
        " units, against ours"
    )
    trace = tanh_net(longest, hidden, 0.9, drive=1.0, dtype=torch.float32)
    jacobians = gradscope.step_jacobians(trace)
    product, tiny = torch.eye(hidden).expand(1, hidden, hidden), torch.finfo(torch.float32).tiny
    titles = (
        f"{'ours, ln':>12}{'in float64':>12}{'subnormal':>11}{'zero':>7}{'a step':>12}{'ours':>12}"
    )
    print(f"{'lag':>6}{'plain norm':>14}{'its ln':>10}{titles}")
    for step in range(1, longest + 1):
        seconds = min(
            once(lambda step=step, product=product: jacobians[step - 1] @ product) for _ in range(7)
        )
        product = jacobians[step - 1] @ product
        if step == 1 or step % 32 == 0 or step == lag:
            norm = float(torch.linalg.matrix_norm(product)[0])
            kinds = (jacobians, jacobians.double())
            logs = [
                float(gradscope.jacobian_product(kind, step, 0).log_frobenius_norm()[0])
                for kind in kinds
            ]
            small = float(((product.abs() < tiny) & (product != 0)).float().mean())
            zero = float((product == 0).float().mean())
            own = (
                min(
                    once(lambda step=step: gradscope.jacobian_product(jacobians, step, 0))
                    for _ in range(5)
                )
                / step
            )
            print(
                f"{step:>6}{norm:>14.4e}{torch.tensor(norm).log():>10.3f}{logs[0]:>12.5f}"
                f"{logs[1]:>12.5f}{small:>11.0%}{zero:>7.0%}{seconds * 1e6:>9.1f} us"
                f"{own * 1e6:>9.1f} us"
            )
