"""The windows of truncated backpropagation through time."""

from __future__ import annotations

from gradscope.errors import GradscopeError


def windows(time: int, length: int, stride: int) -> list[tuple[int, int, int]]:
    """The windows of truncated BPTT: (start, stop, scored_from), in steps, each range half-open.

    Every ``stride`` steps (k1) the losses of the last ``stride`` steps, [scored_from, stop), are
    sent back through the last ``length`` steps (k2), [start, stop). stride = length cuts the
    sequence into chunks, as frameworks do; the last one is shorter where length does not divide
    time. With stride = 1 every loss reaches back exactly ``length`` steps.

    >>> windows(time=5, length=2, stride=2)
    [(0, 2, 0), (2, 4, 2), (4, 5, 4)]

    Args:
        time: number of steps of the sequence.
        length: k2, how many steps a gradient runs back.
        stride: k1, steps from the end of one window to the end of the next; at most ``length``.

    Raises:
        GradscopeError: unless 1 <= stride <= length.

    Reference: Williams and Peng (1990), An efficient gradient-based algorithm for on-line training
    of recurrent network trajectories: BPTT(h; h').
    """
    if not 1 <= stride <= length:
        raise GradscopeError(
            f"TBPTT of length {length} with stride {stride}: the stride should be 1..length, so "
            "that every loss is sent back"
        )
    ends = range(stride, time + stride, stride)
    if stride == length:
        return [(end - length, min(end, time), end - stride) for end in ends]
    return [(max(0, min(end, time) - length), min(end, time), end - stride) for end in ends]
