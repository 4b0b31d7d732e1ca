"""What a reader of any recording should know."""

from __future__ import annotations

from gradscope.capture._recording import Recording


def remarks(recording: Recording) -> list[str]:
    """Notes on the recording as a whole."""
    notes = []
    traces, places = recording.traces.values(), recording.places.values()
    if all(trace.immediate is None for trace in traces):
        notes.append(
            "no gradient arrived in the recorded block, so that there are no adjoints: is "
            "loss.backward() inside it, and does any parameter require a gradient?"
        )
    if all(trace.time < 2 for trace in traces):
        notes.append("every recurrence took a single step: there is no way back to look along")
    stretches = sum(place.stretch is not None and not place.along_depth for place in places)
    if stretches > 1:
        notes.append(
            f"a number behind a name, such as (2), is one of {stretches} stretches whose states "
            "are not connected"
        )
    if reverse := [name for name, place in recording.places.items() if place.reverse]:
        notes.append(
            f"{', '.join(reverse)}: t is in the order of reading, so that T is the sequence's "
            "first element"
        )
    return notes
