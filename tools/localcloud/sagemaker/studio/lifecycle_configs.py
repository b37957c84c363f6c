"""The API of lifecycle configurations.

"CreateStudioLifecycleConfig", "DescribeStudioLifecycleConfig", "ListStudioLifecycleConfigs" and
"DeleteStudioLifecycleConfig" in the Amazon SageMaker API Reference. No script runs here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from localcloud import calls
from localcloud.calls import Call, Operation, Reply
from localcloud.errors import invalid
from localcloud.sagemaker import listing
from localcloud.sagemaker.studio import arns, refusals
from localcloud.sagemaker.studio.entities import LifecycleConfig
from localcloud.sagemaker.studio.estate import Estate
from localcloud.sagemaker.tags import Tags

_KIND = "StudioLifecycleConfig"


class LifecycleConfigs:
    """Lifecycle configurations, which are made, looked at and deleted."""

    def __init__(self, estate: Estate, tags: Tags) -> None:
        self._estate = estate
        self._tags = tags

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "CreateStudioLifecycleConfig": self._create,
            "DescribeStudioLifecycleConfig": self._describe,
            "ListStudioLifecycleConfigs": self._list,
            "DeleteStudioLifecycleConfig": self._delete,
        }

    def _create(self, call: Call) -> Reply:
        params = call.params
        name, content = params["StudioLifecycleConfigName"], params["StudioLifecycleConfigContent"]
        arn = arns.lifecycle_config(self._estate.region, name)
        try:
            base64.b64decode(content, validate=True)
        except binascii.Error as error:
            raise invalid("StudioLifecycleConfigContent must be base64 encoded.") from error  # ours
        with self._estate.lock:
            if arn in self._estate.lifecycle_configs:
                raise refusals.exists_already(_KIND, arn)
            self._tags.put(arn, params.get("Tags"))
            self._estate.lifecycle_configs[arn] = LifecycleConfig(
                name, arn, content, params["StudioLifecycleConfigAppType"], calls.now()
            )
        return Reply({"StudioLifecycleConfigArn": arn})

    def _describe(self, call: Call) -> Reply:
        return Reply(self._config(call).described())

    def _list(self, call: Call) -> Reply:
        params = call.params
        part, app_type = params.get("NameContains", "").lower(), params.get("AppTypeEquals")
        after, before = params.get("ModifiedTimeAfter"), params.get("ModifiedTimeBefore")
        with self._estate.lock:
            found = [
                config
                for config in self._estate.lifecycle_configs.values()
                if part in config.name.lower()
                and app_type in {None, config.app_type}
                and listing.created_within(call, config.created)
                and (after is None or config.created > listing.utc(after))
                and (before is None or config.created < listing.utc(before))
            ]
        keys: dict[str, Callable[[LifecycleConfig], Any]] = {
            "Name": lambda config: config.name,
            "CreationTime": lambda config: config.created,
            "LastModifiedTime": lambda config: config.created,
        }
        chosen, rest = listing.page(call, listing.in_order(call, found, keys, "CreationTime"))
        return Reply({"StudioLifecycleConfigs": [config.summary() for config in chosen], **rest})

    def _delete(self, call: Call) -> Reply:
        with self._estate.lock:
            config = self._config(call)
            user = next(self._estate.users_of_lifecycle_config(config.arn), None)
            if user is not None:
                raise refusals.in_use(
                    f"Unable to delete {_KIND} [{config.arn}] because {user.kind} [{user.arn}] uses it."
                )  # ours
            del self._estate.lifecycle_configs[config.arn]
            self._tags.forget(config.arn)
        return Reply()

    def _config(self, call: Call) -> LifecycleConfig:
        arn = arns.lifecycle_config(self._estate.region, call.params["StudioLifecycleConfigName"])
        with self._estate.lock:
            found = self._estate.lifecycle_configs.get(arn)
        if found is None:
            raise refusals.not_found(_KIND, arn)
        return found
