"""YAML text -> plain data with line numbers.

Works on the node tree, because only that knows lines and repeated keys. Accepted is the YAML that a
configuration needs: mappings with text keys, lists, text, numbers, booleans, null, anchors and merge
keys. Everything else (tags, sets, dates as dates, aliases that contain themselves or unfold into a
bomb) is a problem or plain text. Imported only when a file is read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

from ygg.config.problems import KeyPath, Problems, shown, ticked

MAX_BYTES = 256 * 1024
MAX_NODES = 20_000  #: after aliases are unfolded; ten hosts with every key need about 400
MAX_DEPTH = 32

_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")}
_AS_TEXT = {f"tag:yaml.org,2002:{kind}" for kind in ("timestamp", "value", "str")}
_PLAIN = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_MERGE = "tag:yaml.org,2002:merge"


class Tree(NamedTuple):
    """Plain data and where its parts stand."""

    data: Any
    problems: Problems


def parse(raw: bytes, source: str) -> Tree:
    """Read YAML. Raises ConfigError when it cannot be read at all; smaller problems are collected."""
    problems = Problems(source, {(): 1})
    node = _compose(_decode(raw, problems), problems)
    builder = _Builder(problems)
    data = None
    if node is not None:
        problems.lines[()] = node.start_mark.line + 1
        try:
            data = builder.value(node, ())
        except _TooLarge as error:
            problems.add((), str(error), "more", line=error.line)
            problems.check()
    return Tree(data, problems)


def _decode(raw: bytes, problems: Problems) -> str:
    if len(raw) > MAX_BYTES:
        problems.add((), f"at most {MAX_BYTES // 1024} KiB", f"{len(raw) // 1024} KiB")
    try:
        text = raw[:MAX_BYTES].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = ""
        if not problems.found:
            line = raw.count(b"\n", 0, error.start) + 1
            problems.add((), "UTF-8 text", f"byte 0x{raw[error.start]:02x}", line=line)
    problems.check()
    return text


def _compose(text: str, problems: Problems) -> Any:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        _syntax(error, problems)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        got = f"the character {error.character:#06x}"
        problems.add((), "printable text", got, "remove it", line)
    except RecursionError:
        problems.add((), f"at most {MAX_DEPTH} levels", "far more")
    problems.check()
    return node


def _syntax(error: yaml.MarkedYAMLError, problems: Problems) -> None:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else None
    what = error.problem or str(error)
    if "another document" in what:
        problems.add((), "a single YAML document", "another one", line=line)
        return
    tab = "\\t" in what
    hint = "indent with spaces, not tabs" if tab else error.context or ""
    problems.add((), "valid YAML", what, hint, line)


class _TooLarge(Exception):
    """The tree is deeper, larger or more circular than any configuration."""

    def __init__(self, expected: str, node: Any) -> None:
        super().__init__(expected)
        self.line = node.start_mark.line + 1


class _Builder:
    """Turns nodes into values, noting lines and problems by key path."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.count = 0
        self.scalars = yaml.constructor.SafeConstructor()

    def value(self, node: Any, path: KeyPath) -> Any:
        self.count += 1
        if self.count > MAX_NODES:
            raise _TooLarge(f"at most {MAX_NODES} values, aliases unfolded", node)
        if len(path) > MAX_DEPTH:
            raise _TooLarge(f"at most {MAX_DEPTH} levels", node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node.tag not in _PLAIN:
            return self._refuse(node, path, "a plain mapping or list", f"the tag {shown(node.tag)}")
        return (
            self._mapping(node, path)
            if isinstance(node, yaml.MappingNode)
            else self._list(node, path)
        )

    def _list(self, node: Any, path: KeyPath) -> list[Any]:
        return [self._entry(item, item, (*path, n)) for n, item in enumerate(node.value)]

    def _mapping(self, node: Any, path: KeyPath) -> dict[str, Any]:
        own: dict[str, Any] = {}
        first: dict[str, int] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                merged = {**self._merge(value, path), **merged}
            elif not isinstance(key, yaml.ScalarNode):
                self._refuse(key, path, "text as a key", "a mapping or list")
            elif key.value in own:
                got = f"{ticked(key.value)} a second time"
                hint = f"the first is in line {first[key.value]}"
                self._refuse(key, (*path, key.value), "each key once", got, hint)
            else:
                first[key.value] = key.start_mark.line + 1
                own[key.value] = self._entry(key, value, (*path, key.value))
        return {**merged, **own}

    def _entry(self, place: Any, node: Any, path: KeyPath) -> Any:
        self.problems.lines[path] = place.start_mark.line + 1
        return self.value(node, path)

    def _merge(self, node: Any, path: KeyPath) -> dict[str, Any]:
        """The value of `<<`: one mapping, or several of which earlier ones win."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in parts:
            if not isinstance(part, yaml.MappingNode):
                self._refuse(part, (*path, "<<"), "a mapping to merge", "something else")
                continue
            # One step deeper, so that a mapping that merges itself ends at MAX_DEPTH.
            found = self.value(part, (*path, "<<"))
            merged = {**found, **merged} if isinstance(found, dict) else merged
        return merged

    def _scalar(self, node: Any, path: KeyPath) -> Any:
        if node.tag in _AS_TEXT:
            return self._text(node, path)
        if node.tag not in _SCALARS:
            return self._refuse(node, path, "plain text or a number", f"the tag {shown(node.tag)}")
        try:
            return self.scalars.construct_object(node)
        except (ValueError, KeyError, IndexError, yaml.YAMLError):
            kind = node.tag.rpartition(":")[2]
            return self._refuse(node, path, f"a value of kind {kind}", shown(node.value))

    def _text(self, node: Any, path: KeyPath) -> str:
        text: str = node.value
        if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
            self._refuse(node, path, "text without NUL and lone surrogates", shown(text))
        return text

    def _refuse(self, node: Any, path: KeyPath, expected: str, got: str, hint: str = "") -> None:
        self.problems.add(path, expected, got, hint, node.start_mark.line + 1)
