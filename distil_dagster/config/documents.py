"""YAML and JSON files as plain values, with the line that each key stands on.

Both kinds are strict where a mistake would otherwise pass unseen: a key given twice is reported, and a key is always
text (YAML 1.1 would read `on` as true).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from distil_dagster.errors import ConfigError, Problem

Key = tuple[str | int, ...]

_YAML_SUFFIXES = (".yaml", ".yml")
_MERGE_TAG = "tag:yaml.org,2002:merge"
_TEXT_TAG = "tag:yaml.org,2002:str"
_JSON_TOKEN = re.compile(r'(?P<string>"(?:[^"\\]|\\.)*")(?P<colon>\s*:)?|[{}\[\],]')

# A tag that does not fit its text (`!!int x`, `!!bool x`, `!!timestamp x`) surfaces from PyYAML as any of these.
_YAML_FAILURES = (yaml.YAMLError, ValueError, KeyError, IndexError, AttributeError, TypeError, RecursionError)


@dataclass(frozen=True)
class Document:
    """The content of one file; `lines` leads from a key's path to the line it stands on, counted from 1."""

    file: str
    content: Any
    lines: Mapping[Key, int] = field(default_factory=dict)
    repeated: tuple[Problem, ...] = ()

    def problem(self, key: Key, message: str, value: object = None) -> Problem:
        """A problem with the value at `key`, on the key's own line or that of the nearest key around it."""
        around = (key[:end] for end in range(len(key), 0, -1))
        line = next((self.lines[path] for path in around if path in self.lines), None)
        return Problem(self.file, line, dotted(key), message, value)


def dotted(key: Key) -> str:
    """A path as people write it: `tuning.learning_rate`; the whole document is `file`."""
    # A step that a terminal could not show is written with escapes.
    return ".".join(step if step.isprintable() else ascii(step) for step in map(str, key)) or "file"


def read_document(path: Path) -> Document:
    """Read a `.yaml`, `.yml` or `.json` file.

    Raises:
        ConfigError: the file is missing or unreadable, or its text is not of the kind that its name says.
    """
    if path.suffix not in (*_YAML_SUFFIXES, ".json"):
        raise _failure(path, None, "file", f"must be named .yaml, .yml or .json, not {path.suffix or 'without ending'}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise _failure(path, None, "file", "does not exist") from None
    except (OSError, ValueError) as error:
        raise _failure(path, None, "file", f"cannot be read: {error}") from None
    return _read_json(path, text) if path.suffix == ".json" else _read_yaml(path, text)


def _failure(path: Path, line: int | None, key: str, message: str) -> ConfigError:
    return ConfigError([Problem(str(path), line, key, message)])


def _read_yaml(path: Path, text: str) -> Document:
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        places = list(_yaml_places(node)) if node else []
        content = loader.construct_document(node) if node else None
    except _YAML_FAILURES as error:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        reason = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
        raise _failure(path, mark.line + 1 if mark else None, "syntax", f"not valid YAML: {reason}") from None
    return _document(path, content, places)


def _yaml_places(root: yaml.Node) -> Iterator[tuple[Key, int]]:
    """Every key's path and line; turns keys into text on the way. An anchored node is visited where it first stands."""
    waiting: list[tuple[Key, yaml.Node]] = [((), root)]
    visited: set[int] = set()
    while waiting:
        path, node = waiting.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key_node, value_node in node.value:
                if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == _MERGE_TAG:
                    continue
                key_node.tag = _TEXT_TAG
                yield (*path, key_node.value), key_node.start_mark.line + 1
                waiting.append(((*path, key_node.value), value_node))
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                yield (*path, index), item.start_mark.line + 1
                waiting.append(((*path, index), item))


def _read_json(path: Path, text: str) -> Document:
    try:
        content = json.loads(text) if text.strip() else None
    except json.JSONDecodeError as error:
        raise _failure(path, error.lineno, "syntax", f"not valid JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise _failure(path, None, "syntax", f"not valid JSON: {error}") from None
    return _document(path, content, _json_places(text))


def _json_places(text: str) -> Iterator[tuple[Key, int]]:
    """Every key's path and line, from text that is known to be valid JSON."""
    path: list[str | int] = []
    line, counted = 1, 0
    for token in _JSON_TOKEN.finditer(text):
        line, counted = line + text.count("\n", counted, token.start()), token.start()
        match token.group():
            case "{":
                path.append("")
            case "[":
                path.append(0)
            case "}" | "]":
                path.pop()
            case ",":
                path[-1] = path[-1] + 1 if isinstance(path[-1], int) else ""
            case _ if token["colon"]:
                path[-1] = json.loads(token["string"])
                yield tuple(path), line
            case _ if path and isinstance(path[-1], int):
                yield tuple(path), line


def _document(path: Path, content: Any, places: Iterable[tuple[Key, int]]) -> Document:
    lines: dict[Key, int] = {}
    repeated: dict[Key, int] = {}
    for key, line in places:
        if key not in lines:
            lines[key] = line
        elif not any(key[:end] in repeated for end in range(1, len(key))):
            repeated[key] = line
    problems = [
        Problem(str(path), line, dotted(key), f"is given twice, first on line {lines[key]}; keep one of them")
        for key, line in repeated.items()
    ]
    return Document(str(path), content, lines, tuple(problems))
