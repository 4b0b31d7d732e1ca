"""The errors that are gradscope's own.

    GradscopeError              its message says what is wrong and what would be right
    ├── ConfigError             an experiment file, or an option, that cannot be used
    │   ├── ConfigErrors        several mistakes at once, one a line
    │   ├── MissingOptionError  an option without a default was not given
    │   └── UnknownNameError    there is no component, option or key of that name
    ├── PluginError             a user's file of components that cannot be loaded
    ├── RunDirectoryError       a run directory that is missing, damaged, in use or another's
    │   └── DamagedError        a file in it that is not what was written
    ├── StorageError            what cannot be written: a full disk, a directory that is gone
    ├── UnknownTableError       a table that was not measured; a KeyError as well
    ├── NothingToDrawError      tables hold nothing of what a plot shows
    ├── UnusableSeriesError     log norms without a memory horizon; a ValueError as well
    ├── NoLossError             a gradient was asked for where no loss reaches
    └── MissingPackageError     an optional package that is not installed; an ImportError as well

Code branches on these classes, never on the text of a message. An argument that no caller should
pass is a ValueError, as anywhere in Python.
"""

from __future__ import annotations

import pathlib


class GradscopeError(Exception):
    """Base of all of them; the command line prints it as one message, without a traceback."""


class ConfigError(GradscopeError):
    """An experiment file, or an option, that cannot be used.

    The message reads ``file:line:column: key: what is wrong; what would be right``, as far as these
    are known.

    Attributes:
        message: what is wrong, without the place.
        where: the place in a file, such as ``lstm.yaml:3:7``, or "".
        key: the dotted key, such as ``training.steps``, or "".
    """

    def __init__(self, message: str, *, where: object = "", key: str = ""):
        self.message, self.where, self.key = message, str(where or ""), key
        super().__init__(": ".join(part for part in (self.where, key, message) if part))

    def at(self, where: object, key: str = "") -> ConfigError:
        """The same error at this place; what is not given stays as it was."""
        return type(self)(self.message, where=where or self.where, key=key or self.key)

    @property
    def errors(self) -> tuple[ConfigError, ...]:
        """The mistakes one by one: this one alone, but of a ``ConfigErrors``."""
        return (self,)


class ConfigErrors(ConfigError):
    """Several mistakes at once; the message has one a line, of many the first ones.

    Attributes:
        several: the mistakes one by one.
    """

    #: mistakes that the message tells
    TOLD = 20

    def __init__(
        self,
        message: str,
        *,
        where: object = "",
        key: str = "",
        several: tuple[ConfigError, ...] = (),
    ):
        super().__init__(message, where=where, key=key)
        self.several = several

    @classmethod
    def of(cls, errors: list[ConfigError]) -> ConfigError:
        """One error that stands for all of them; a single one is itself."""
        if len(errors) == 1:
            return errors[0]
        told = [str(error) for error in errors[: cls.TOLD]]
        if more := len(errors) - len(told):
            told.append(f"and {more} more")
        return cls("\n".join(told), several=tuple(errors))

    @property
    def errors(self) -> tuple[ConfigError, ...]:
        """The mistakes one by one."""
        return self.several or (self,)


class MissingOptionError(ConfigError):
    """An option without a default was not given."""


class UnknownNameError(ConfigError):
    """There is no component, option or key of that name; the message suggests the nearest one."""


class PluginError(GradscopeError):
    """A user's file of components that cannot be loaded; the message names file and line."""


class RunDirectoryError(GradscopeError):
    """A run directory that is missing, damaged, in use or of another experiment."""


class DamagedError(RunDirectoryError):
    """A file of a run that is not what was written.

    Attributes:
        what: is wrong with it, without the path.
    """

    def __init__(self, message: str, *, what: str = ""):
        self.what = what or message
        super().__init__(message)

    @classmethod
    def of(cls, path: pathlib.Path, what: str) -> DamagedError:
        """The error of a file, which also says what to do."""
        return cls(
            f"{path}: damaged: {what}; 'gradscope verify' names all damaged files of a run, and "
            "'gradscope run' makes their trials anew",
            what=what,
        )


class StorageError(GradscopeError):
    """What cannot be written: a full disk, a directory that is gone or may not be written to."""

    @classmethod
    def of(cls, path: pathlib.Path, error: OSError) -> StorageError:
        """The error of a path, with the system's reason."""
        return cls(f"{path}: cannot be written: {error.strerror or error}")


class UnknownTableError(GradscopeError, KeyError):
    """A table that was not measured."""

    __str__ = Exception.__str__


class NoLossError(GradscopeError):
    """A gradient was asked for where no loss reaches."""


class UnusableSeriesError(GradscopeError, ValueError):
    """Log norms that a memory horizon cannot be taken of."""


class MissingPackageError(GradscopeError, ImportError):
    """An optional package that is not installed; the message says how to get it."""


class NothingToDrawError(GradscopeError):
    """Tables hold nothing of what a plot shows."""
