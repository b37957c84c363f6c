"""Events and invocations of the local cloud, each as a line that people can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

if TYPE_CHECKING:
    from localcloud import Invocation

_STYLES = {"aws.s3": "cyan", "aws.sagemaker": "blue", "modelgate": "bold green"}
_NO_NEWS = "–"


def line_of_event(event: Mapping[str, Any]) -> Text:
    """What an event tells."""
    source = str(event["source"])
    return _line(source, str(event["detail-type"]), news_of(event), _STYLES.get(source, ""))


def line_of_invocation(invocation: Invocation) -> Text:
    """What became of a run of a handler."""
    again = f" (attempt {invocation.attempt})" if invocation.attempt > 1 else ""
    took = f"{invocation.seconds * 1000:.0f} ms"
    if invocation.error is not None:
        error = invocation.error
        said = " ".join(str(error.get("errorMessage", "")).split())
        return _line(f"λ {invocation.function}", f"failed{again}", f"{error.get('errorType')}: {said}", "red")
    return _line(f"λ {invocation.function}", f"{took}{again}", _result(invocation.result), "magenta")


def _line(who: str, what: str, news: str, style: str) -> Text:
    return Text.assemble((f"{who:<18} ", style), f"{what}: ", (news, "default"))


def news_of(event: Mapping[str, Any]) -> str:
    """What an event is about, in a few words."""
    detail = event["detail"]
    if "message" in detail:
        return str(detail["message"])
    if event["detail-type"] == "Object Created":
        return f"{detail['object']['key']} ({detail['object'].get('size', 0)} bytes)"
    if "ModelPackageVersion" in detail:
        name = f"{detail['ModelPackageGroupName']} version {detail['ModelPackageVersion']}"
        return f"{name} is {detail.get('ModelApprovalStatus', _NO_NEWS)}"
    if "EndpointStatus" in detail:
        config = detail.get("EndpointConfigName", _NO_NEWS)
        return f"{detail['EndpointName']} is {detail['EndpointStatus']} with {config}"
    return (
        ", ".join(f"{name} {value}" for name, value in detail.items() if isinstance(value, str)) or _NO_NEWS
    )


def _result(result: object) -> str:
    if not isinstance(result, Mapping):
        return _NO_NEWS
    if "submission" in result:
        version = f", version {result['version']}" if result.get("version") else ""
        return f"{result['submission']} {result['status']}{version}"
    if "visited" in result:
        repaired = [f"{endpoint}: {', '.join(did)}" for endpoint, did in result["repaired"].items()]
        trouble = [f"{name}: {said}" for name, said in result["trouble"].items()]
        return " · ".join([f"visited {len(result['visited'])}", *repaired, *trouble])
    did, refused = ", ".join(result.get("did", ())), "; ".join(result.get("refused", ()))
    words = [str(result.get("endpoint") or ""), did, str(result.get("note") or ""), refused]
    return " · ".join(word for word in words if word) or "nothing to do"
