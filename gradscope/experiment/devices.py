"""Where trials are computed."""

from __future__ import annotations

import torch

from gradscope.errors import GradscopeError


def check_device(device: str) -> None:
    """Check that tensors can be made on a torch device.

    Raises:
        GradscopeError: if not.
    """
    try:
        torch.zeros(1, device=device).item()
    except Exception as error:  # of many kinds: a backend may be unknown, unbuilt, missing or gone
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise GradscopeError(f"the device {device!r} cannot be used here: {reason}") from None
