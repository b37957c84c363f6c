"""Documents that the machine writes, and people may read: JSON that reads as YAML."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# YAML 1.2.2, "Character Set": what it takes no otherwise than escaped. Everything else is left to be read.
_NOT_PRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def written(content: Mapping[str, Any]) -> bytes:
    """The same bytes for the same content."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    return _NOT_PRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()
