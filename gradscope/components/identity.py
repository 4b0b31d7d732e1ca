"""What tells settings apart: plain values that depend on nothing else, and their digest."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel

from gradscope.components.base import Component, is_registered
from gradscope.components.options import dump


def identified(value: object) -> object:
    """As ``dump``, with every component under the name and options that recorded trials use."""
    if isinstance(value, Component) and is_registered(type(value)):
        name, more = value.identity
        options = {key: identified(getattr(value, key)) for key in type(value).model_fields}
        return {"name": name, **options, **more}
    if isinstance(value, BaseModel):
        return {key: identified(getattr(value, key)) for key in type(value).model_fields}
    if isinstance(value, list | tuple):
        return [identified(item) for item in value]
    return dump(value)


def sha256(value: object) -> str:
    """The SHA-256 of plain JSON values; the order of a mapping's keys does not matter."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
