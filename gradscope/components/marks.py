"""YAML -> plain values that know their place in the file.

Scalars follow YAML 1.2's core schema (``1e-3`` is a number, ``off`` and ``no`` are strings, ``012``
is twelve); duplicate keys, tags other than YAML's own and recursive aliases are refused. Nothing in
the file can run code. A document is refused before it can grow large: by its own length, by what
its aliases make of it, or by its depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple, TypeVar

import yaml

from gradscope.components.mistakes import Mistakes
from gradscope.components.suggestions import shown
from gradscope.components.text import NOT_TEXT
from gradscope.errors import ConfigError

#: characters of a document, values in it once its aliases are written out, and levels of nesting
LONGEST, _MOST_VALUES, _DEEPEST = 100_000, 30_000, 50
#: of an integer: what a float can still hold
_MOST_DIGITS = 300


@dataclass(frozen=True)
class Place:
    """A position in a file; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


_K = TypeVar("_K")

#: where a value stands: in a file, or in words such as "--set training.steps"
Where = Place | str | None


class Mapping(dict[str, object]):
    """A mapping that knows its dotted path, its own place, and the place of every key's value.

    ``unread`` are the keys whose values could not be read, which has been told already.
    """

    def __init__(self, path: str = "", place: Where = None):
        super().__init__()
        self.path, self.place = path, place
        self.places: dict[str, Where] = {}
        self.unread: set[str] = set()

    def put(self, key: str, value: object, place: Where) -> None:
        """Set ``key`` and where its value stands."""
        self[key] = value
        self.places[key] = place

    def duplicate(self) -> Mapping:
        """A copy whose nested mappings are copies too; the values' marks are kept."""
        twin = Mapping(self.path, self.place)
        twin.unread |= self.unread
        for key, value in self.items():
            twin.put(
                key,
                value.duplicate() if isinstance(value, Mapping) else value,
                self.places.get(key),
            )
        return twin


class Sequence(list[object]):
    """A list that knows its dotted path and the place of every item."""

    def __init__(self, path: str = "", place: Where = None):
        super().__init__()
        self.path, self.place = path, place
        self.places: list[Where] = []


def marked(value: AbstractMapping[_K, object], path: str = "") -> Mapping:
    """A plain mapping, of Python's own types, as one whose parts know their dotted path.

    Raises:
        ConfigError: for a key that is not a string.
    """
    mapping = Mapping(path)
    for key, item in value.items():
        if not isinstance(key, str):
            raise ConfigError(f"a key should be a string, got {key!r}", key=path)
        mapping.put(key, marked_value(item, f"{path}.{key}" if path else key), None)
    return mapping


def marked_value(value: object, path: str) -> object:
    """As ``marked``, for any value; what has marks keeps them.

    Raises:
        ConfigError: as ``marked``.
    """
    if isinstance(value, Mapping | Sequence):
        return value
    if isinstance(value, AbstractMapping):
        return marked(value, path)
    if isinstance(value, list | tuple):
        sequence = Sequence(path)
        for index, item in enumerate(value):
            sequence.append(marked_value(item, f"{path}[{index}]"))
            sequence.places.append(None)
        return sequence
    return value


def read(text: str, file: str, mistakes: Mistakes | None = None) -> Mapping:
    """Parse one YAML document whose top level is a mapping.

    Args:
        text: the document.
        file: its name in error messages.
        mistakes: gathers what is wrong within the document, and is then left out of it; None raises
            all of it at the end.

    Raises:
        ConfigError: for anything that is not such a document; the message names file, line and
            column.
    """
    gathered = Mistakes() if mistakes is None else mistakes
    if len(text) > LONGEST:
        raise ConfigError(
            f"is {len(text):,} characters long; an experiment has at most {LONGEST:,}", where=file
        )
    try:
        mapping = _document(yaml.compose(text, Loader=_Loader), file, gathered)
    except _UnreadableError as error:
        raise ConfigError(error.message, where=error.place) from None
    except RecursionError:
        raise ConfigError("not valid YAML: it is nested too deeply", where=file) from None
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, file) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"not valid YAML: {str(error).splitlines()[0]}", where=file) from None
    if mistakes is None:
        gathered.raise_any()
    return mapping


def _not_yaml(error: yaml.MarkedYAMLError, file: str) -> ConfigError:
    """What PyYAML found wrong; of a bracket that is left open, where it stands."""
    mark = error.problem_mark or error.context_mark
    problem = (error.problem or str(error)).replace("\t", "\\t")
    opened = error.context_mark
    if opened is not None and "while parsing a flow" in (error.context or ""):
        bracket = "{" if "mapping" in (error.context or "") else "["
        problem += (
            f"; the '{bracket}' of line {opened.line + 1}, column {opened.column + 1} is not closed"
        )
    return ConfigError(f"not valid YAML: {problem}", where=_place(mark, file) if mark else file)


def _document(node: yaml.Node | None, file: str, mistakes: Mistakes) -> Mapping:
    """The mapping that is the whole document."""
    if node is None:
        raise ConfigError(
            "the file is empty; an experiment is a mapping such as 'task: {name: adding}'",
            where=file,
        )
    if not isinstance(node, yaml.MappingNode):
        kind = "a list" if isinstance(node, yaml.SequenceNode) else "a single value"
        where = _place(node.start_mark, file)
        raise ConfigError(
            f"the top level is {kind}; an experiment is a mapping of 'key: value' lines",
            where=where,
        )
    mapping = _convert(node, file, "", _Around(frozenset(), mistakes, count()))
    assert isinstance(mapping, Mapping)
    return mapping


class _UnreadableError(Exception):
    """A part that leaves open what the document says, so nothing more can be said of it."""

    def __init__(self, message: str, place: Place):
        super().__init__(message)
        self.message, self.place = message, place


class _Around(NamedTuple):
    """The nodes that a node lies in, what has been found wrong so far, and how many came before."""

    nodes: frozenset[int]
    mistakes: Mistakes
    before: Iterator[int]

    def within(self, node: yaml.Node, place: Place) -> _Around:
        """Around what lies in a node.

        Raises:
            _UnreadableError: if it lies in itself, or too deep.
        """
        if id(node) in self.nodes:
            raise _UnreadableError(
                "an alias (*) inside its own anchor (&) never ends; write the value out", place
            )
        if len(self.nodes) >= _DEEPEST:
            raise _UnreadableError(
                f"is nested more than {_DEEPEST} levels deep; an experiment needs six", place
            )
        return self._replace(nodes=self.nodes | {id(node)})


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2's core schema of implicit scalars."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012 - PyYAML's own protocol


#: type of scalar -> how it is written, and the characters that it may begin with
_SCALARS = {
    "null": (re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    "bool": (re.compile(r"true|True|TRUE|false|False|FALSE"), [*"tTfF"]),
    "int": (re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"), [*"-+0123456789"]),
    "float": (
        re.compile(
            r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
        [*"-+.0123456789"],
    ),
    "str": (re.compile(r".*", re.DOTALL), []),
}
_TAG = "tag:yaml.org,2002:"
for _type, (_pattern, _first) in _SCALARS.items():
    if _first:
        _whole = re.compile(f"(?:{_pattern.pattern})$")
        _Loader.add_implicit_resolver(_TAG + _type, _whole, _first)


def _place(mark: yaml.Mark, file: str) -> Place:
    return Place(file, mark.line + 1, mark.column + 1)


def _convert(node: yaml.Node, file: str, path: str, around: _Around) -> object:
    place = _place(node.start_mark, file)
    if next(around.before) >= _MOST_VALUES:
        raise _UnreadableError(
            f"holds more than {_MOST_VALUES:,} values once its aliases (*) are written out", place
        )
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, place)
    around = around.within(node, place)
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        sequence = Sequence(path, place)
        for index, item in enumerate(node.value):
            with around.mistakes.noted():
                sequence.append(_convert(item, file, f"{path}[{index}]", around))
                sequence.places.append(_place(item.start_mark, file))
        return sequence
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        return _mapping(node, file, path, around, place)
    raise _tag_error(node, place)


def _mapping(
    node: yaml.MappingNode, file: str, path: str, around: _Around, place: Place
) -> Mapping:
    mapping = Mapping(path, place)
    first: dict[str, int] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        with around.mistakes.noted():
            _check_key(key_node, _place(key_node.start_mark, file), first)
            mapping.unread.add(key)
            value = _convert(value_node, file, f"{path}.{key}" if path else key, around)
            mapping.put(key, value, _place(value_node.start_mark, file))
            mapping.unread.remove(key)
    return mapping


def _check_key(node: yaml.Node, where: Place, first: dict[str, int]) -> None:
    """Check one key of a mapping; ``first`` has the keys before it and their lines."""
    if not isinstance(node, yaml.ScalarNode):
        raise ConfigError("a key must be a plain word, not a list or a mapping", where=where)
    key = str(node.value)
    if wrong := NOT_TEXT.search(key):
        raise ConfigError(f"a key holds the character {wrong[0]!a}, which is no text", where=where)
    if key == "<<":
        raise _UnreadableError(
            "merge keys (<<) are not part of YAML 1.2; write the keys out", where
        )
    if key in first:
        raise ConfigError(
            f"the key appears twice, first on line {first[key]}; keep one", where=where, key=key
        )
    first[key] = where.line


def _scalar(node: yaml.ScalarNode, place: Place) -> bool | int | float | str | None:
    text = node.value
    written_as = node.tag.removeprefix(_TAG) if node.tag.startswith(_TAG) else ""
    if written_as not in _SCALARS:
        raise _tag_error(node, place)
    if not _SCALARS[written_as][0].fullmatch(text):
        raise ConfigError(f"{shown(text)} is not of the type {written_as} of its tag", where=place)
    if wrong := NOT_TEXT.search(text):
        raise ConfigError(f"holds the character {wrong[0]!a}, which is no text", where=place)
    match written_as:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return _integer(text, place)
        case "float":
            named = text.lstrip("+-").lower() in (".inf", ".nan")
            return float(text.replace(".", "") if named else text)
    return text


def _integer(text: str, place: Place) -> int:
    if len(text) > _MOST_DIGITS:
        raise ConfigError(f"a number of {len(text)} digits is too long", where=place)
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _tag_error(node: yaml.Node, place: Place) -> ConfigError:
    return ConfigError(
        f"the tag {node.tag!r} is not allowed; write plain values, lists and mappings", where=place
    )
