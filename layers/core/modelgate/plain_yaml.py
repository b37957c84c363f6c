"""YAML as people mean it, and no more of it than a plain document needs."""

from __future__ import annotations

import re

import yaml

from modelgate.documents import MAX_DEPTH, MAX_DOCUMENT_BYTES
from modelgate.errors import Problem, Refused


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: `1e-3` is a number, `2026-11-22` is a text, a key stands once.

    By the loader in Python: a page of text takes it a millisecond, and the one in C is a tenth of the layer.

    What a plain document does not need is refused while it is parsed, so that nothing is ever expanded.
    """

    def __init__(self, text: bytes, name: str) -> None:
        super().__init__(text)
        self._document = name
        self._depth = 0

    def get_event(self) -> yaml.Event | None:
        event: yaml.Event | None = super().get_event()  # type: ignore[no-untyped-call]
        if anchor := getattr(event, "anchor", None):
            line = event.start_mark.line + 1 if event and event.start_mark else 1
            found = f"has the alias or anchor {anchor!r}"
            raise Refused(Problem(f"{self._document}: line {line}", found, "write the value out"))
        self._depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(
            event, yaml.CollectionEndEvent
        )
        if self._depth > MAX_DEPTH:
            raise Refused(
                Problem(self._document, f"is nested deeper than {MAX_DEPTH} levels", "write it flat")
            )
        return event

    def scan_flow_scalar(self, style: str) -> yaml.ScalarToken:
        """As JSON means it: what it escapes as two halves of sixteen bits is one character."""
        token: yaml.ScalarToken = super().scan_flow_scalar(style)
        try:
            token.value = token.value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError as error:
            where = f"{self._document}: line {token.start_mark.line + 1}"
            mend = "write the character itself, or both halves"
            raise Refused(Problem(where, "escapes one half of a character", mend)) from error
        return token


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":float"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?$|^[-+]?[0-9]+[eE][-+]?[0-9]+$|^[-+]?\.(inf|nan)$",
        re.IGNORECASE,
    ),
    list("-+0123456789."),
)


def load(text: bytes, name: str) -> object:
    """Reads a document; one without content is an empty mapping.

    Args:
        text: the document, UTF-8.
        name: how errors call the document.

    Raises:
        Refused: it is too large or too deep, is no YAML, or has anchors or a key twice.
    """
    _check_size(text, name)
    try:
        loader = _Loader(text, name)
        try:
            node = loader.get_single_node()
            if node is None:
                return {}
            _refuse_repeated_keys(node, name)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except UnicodeDecodeError as error:
        raise Refused(Problem(name, f"is not UTF-8 ({error.reason})", "save it as UTF-8")) from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise Refused(Problem(name, f"is not YAML ({reason})", "mend the place that it names")) from error


def _check_size(text: bytes, name: str) -> None:
    if len(text) > MAX_DOCUMENT_BYTES:
        limit = f"{MAX_DOCUMENT_BYTES // 1024} KB"
        raise Refused(
            Problem(
                name,
                f"is larger than {limit}",
                f"keep it under {limit}; large values belong in files beside it",
            )
        )


def _refuse_repeated_keys(root: yaml.Node, name: str) -> None:
    problems = []
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.SequenceNode):
            nodes.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                nodes.append(value)
                if str(key.value) in seen:
                    where = f"{name}: line {key.start_mark.line + 1}"
                    problems.append(
                        Problem(where, f"has the key {key.value!r} a second time", "keep one of them")
                    )
                seen.add(str(key.value))
    if problems:
        raise Refused(*problems)
