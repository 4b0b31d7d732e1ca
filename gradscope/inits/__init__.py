"""Initialisations of recurrent weights, one per file."""

from gradscope.inits._init import Init

__all__ = ["Init"]
