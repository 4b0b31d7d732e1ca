"""The errors a user can put right, each with one message that says what is wrong and what would be
right.
"""

from __future__ import annotations


class GradscopeError(Exception):
    """Base of every error that gradscope raises on purpose; the CLI prints it without a traceback."""


class ConfigError(GradscopeError):
    """An experiment file, or an option, that cannot be used.

    The message reads ``file:line:column: key: what is wrong; what would be right``, as far as these
    are known.
    """

    def __init__(self, message: str, *, where: object = "", key: str = ""):
        self.message, self.where, self.key = message, str(where or ""), key
        super().__init__(": ".join(part for part in (self.where, key, message) if part))


class RunDirectoryError(GradscopeError):
    """A run directory that is missing, unwritable, damaged or of another experiment."""
