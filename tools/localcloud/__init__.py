"""AWS on this machine: one HTTP endpoint for every unmodified client, with the stack's functions behind it.

>>> with LocalCloud(Path("template.yaml")) as cloud:
...     cloud.client("s3").put_object(Bucket=cloud.outputs["Bucket"], Key="models/a/b/model.tar.gz", Body=b"")
...     cloud.settle()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localcloud.cloud import LocalCloud
    from localcloud.errors import LocalCloudError, NotSettledError, ServiceError, TemplateError
    from localcloud.eventbridge import Delivery
    from localcloud.faults import Faults, HandlerDied
    from localcloud.functions import Invocation
    from localcloud.pace import Pace

__all__ = [
    "Delivery",
    "Faults",
    "HandlerDied",
    "Invocation",
    "LocalCloud",
    "LocalCloudError",
    "NotSettledError",
    "Pace",
    "ServiceError",
    "TemplateError",
]

# The stand-ins for containers live in this package too, and must start without boto3 and moto.
_WHERE = {
    "Delivery": "eventbridge",
    "Faults": "faults",
    "HandlerDied": "faults",
    "Invocation": "functions",
    "LocalCloud": "cloud",
    "LocalCloudError": "errors",
    "NotSettledError": "errors",
    "Pace": "pace",
    "ServiceError": "errors",
    "TemplateError": "errors",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"localcloud.{_WHERE[name]}"), name)
