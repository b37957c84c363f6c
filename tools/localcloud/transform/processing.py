"""What of a record is asked, and what of the answers is kept.

"Associate Prediction Results with Input Records" in the SageMaker Developer Guide: records are filtered
before they are sent, joined with their answers, and filtered again. A record in CSV gets the answer as
further columns; an object in JSON gets it as ``SageMakerOutput``, anything else becomes ``SageMakerInput``
beside it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.transform.json_path import OPERATORS, JsonPathError, chosen, steps
from localcloud.transform.records import RecordError

_CSV = "text/csv"
_JSON = ("application/json", "application/jsonlines")
_OUTPUT, _INPUT = "SageMakerOutput", "SageMakerInput"


@dataclass(frozen=True)
class Processing:
    """What a job says in DataProcessing.

    Attributes:
        input_filter, output_filter: JSONPath; None leaves all as it is.
    """

    input_filter: str | None = None
    output_filter: str | None = None
    joins: bool = False

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> Processing:
        """As CreateTransformJob is told it.

        Raises:
            JsonPathError: a filter is no path that SageMaker knows.
        """
        told = asked.get("DataProcessing") or {}
        content_type = str(asked["TransformInput"].get("ContentType", ""))
        return cls(
            _path("InputFilter", told, content_type),
            _path("OutputFilter", told, content_type),
            told.get("JoinSource", "None") == "Input",
        )

    @property
    def changes_answers(self) -> bool:
        """Whether answers are taken apart at all."""
        return self.joins or self.output_filter is not None

    def asked(self, record: bytes, content_type: str) -> bytes:
        """What of a record is sent.

        Raises:
            RecordError: it cannot be taken apart.
        """
        if self.input_filter is None:
            return record
        kind = _kind(content_type)
        return _written(_chosen(_read(record, kind), self.input_filter), kind)

    def kept(
        self, records: Sequence[bytes], content_type: str, answer: bytes, answer_type: str
    ) -> list[bytes]:
        """What of the answer to a request is kept, for each of its records.

        Raises:
            RecordError: it cannot be taken apart, or has not as many answers as the request has records.
        """
        kind, of_answer = _kind(content_type), _kind(answer_type or content_type)
        answers = _answers(answer, of_answer, len(records))
        if len(answers) != len(records):
            raise RecordError(
                f"Fail to join data: the number of predictions is different from the number of records, "
                f"{len(answers)} vs {len(records)}"
            )
        if not self.joins:
            return [self._filtered(each, of_answer) for each in answers]
        joined = [
            _joined(_read(record, kind), each, kind) for record, each in zip(records, answers, strict=True)
        ]
        return [self._filtered(each, kind) for each in joined]

    def _filtered(self, value: Any, kind: str) -> bytes:
        return _written(value if self.output_filter is None else _chosen(value, self.output_filter), kind)


def _path(member: str, told: Mapping[str, Any], content_type: str) -> str | None:
    path = str(told.get(member) or "$")
    if path == "$":
        return None
    try:
        steps(path)
    except JsonPathError as error:
        operators = ", ".join(f"'{operator}'" for operator in OPERATORS)
        raise JsonPathError(
            f'Invalid {member}: "{path}". {error}. Supported operators for "{content_type}" are [{operators}]'
        ) from error
    return path


def _kind(content_type: str) -> str:
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in {_CSV, *_JSON}:
        raise RecordError(f"Data processing is not supported for the content type {content_type}")
    return _CSV if kind == _CSV else _JSON[0]


def _chosen(value: Any, path: str) -> Any:
    try:
        return chosen(value, path)
    except JsonPathError as error:
        raise RecordError(str(error)) from error


def _read(record: bytes, kind: str) -> Any:
    try:
        text = record.decode()
        if kind == _CSV:
            return next(csv.reader([text.rstrip("\r\n")]), [])
        return json.loads(text)
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise RecordError(f"A record is not {kind}: {error}") from error


def _answers(answer: bytes, kind: str, count: int) -> list[Any]:
    """One request's answers: lines, or the elements of a list in JSON."""
    lines = [line for line in answer.splitlines() if line.strip()]
    if kind == _CSV:
        return [_read(line, kind) for line in lines]
    if len(lines) == count and count > 1:
        return [_read(line, kind) for line in lines]
    whole = _read(answer, kind)
    if count == 1:
        return [whole[0] if isinstance(whole, list) and len(whole) == 1 else whole]
    return list(whole) if isinstance(whole, list) else [whole]


def _joined(record: Any, answer: Any, kind: str) -> Any:
    if kind == _CSV:
        return [*record, *(answer if isinstance(answer, list) else [answer])]
    if isinstance(record, dict):
        return {**record, _OUTPUT: answer}
    return {_INPUT: record, _OUTPUT: answer}


def _written(value: Any, kind: str) -> bytes:
    if kind != _CSV:
        return json.dumps(value).encode()
    row = value if isinstance(value, list) else [value]
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(row)
    return out.getvalue().encode()
