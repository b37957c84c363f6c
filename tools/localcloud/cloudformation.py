"""CloudFormation, as far as one stack that has been made answers about itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from localcloud.calls import ACCOUNT, Call, Operation, Reply, now
from localcloud.errors import ServiceError
from localcloud.template import ResolvedTemplate, Resource, suffix


class CloudFormationService:
    """Tells unmodified clients what is in the stack; it makes, changes and deletes nothing."""

    def __init__(self, template: ResolvedTemplate, stack_name: str, region: str) -> None:
        self._template = template
        self._name = stack_name
        drawn = suffix(stack_name, "")
        self._id = f"arn:aws:cloudformation:{region}:{ACCOUNT}:stack/{stack_name}/{drawn}"
        self._made: dt.datetime = now()

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {
            "DescribeStacks": self._describe_stacks,
            "ListStacks": self._list_stacks,
            "DescribeStackResources": self._describe_resources,
            "DescribeStackResource": self._describe_resource,
            "ListStackResources": self._list_resources,
            "GetTemplate": self._get_template,
        }

    def _describe_stacks(self, call: Call) -> Reply:
        self._check(call)
        parameters = [
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in self._template.parameters.items()
        ]
        outputs = [
            {"OutputKey": name, "OutputValue": output["Value"], "Description": output.get("Description")}
            | ({"ExportName": output["Export"]["Name"]} if "Export" in output else {})
            for name, output in self._template.outputs.items()
        ]
        stack = {
            "StackId": self._id,
            "StackName": self._name,
            "Description": self._template.description,
            "Parameters": parameters,
            "CreationTime": self._made,
            "StackStatus": "CREATE_COMPLETE",
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            "Outputs": outputs,
            "Tags": [],
        }
        return Reply({"Stacks": [stack]})

    def _list_stacks(self, call: Call) -> Reply:
        wanted = call.params.get("StackStatusFilter")
        summary = {
            "StackId": self._id,
            "StackName": self._name,
            "CreationTime": self._made,
            "StackStatus": "CREATE_COMPLETE",
        }
        return Reply({"StackSummaries": [summary] if not wanted or "CREATE_COMPLETE" in wanted else []})

    def _describe_resources(self, call: Call) -> Reply:
        self._check(call)
        wanted = call.params.get("LogicalResourceId")
        found = [
            self._told(resource) | {"Timestamp": self._made}
            for resource in self._template.resources.values()
            if wanted in {None, resource.logical_id}
        ]
        return Reply({"StackResources": found})

    def _describe_resource(self, call: Call) -> Reply:
        self._check(call)
        resource = self._template.resources.get(call.params["LogicalResourceId"])
        if resource is None:
            name = call.params["LogicalResourceId"]
            raise _error(f"Resource {name} does not exist for stack {self._name}")
        return Reply({"StackResourceDetail": self._told(resource) | {"LastUpdatedTimestamp": self._made}})

    def _list_resources(self, call: Call) -> Reply:
        self._check(call)
        summaries = [
            self._told(resource) | {"LastUpdatedTimestamp": self._made}
            for resource in self._template.resources.values()
        ]
        return Reply({"StackResourceSummaries": summaries})

    def _get_template(self, call: Call) -> Reply:
        self._check(call)
        return Reply({"TemplateBody": self._template.source, "StagesAvailable": ["Original", "Processed"]})

    def _told(self, resource: Resource) -> dict[str, Any]:
        return {
            "StackName": self._name,
            "StackId": self._id,
            "LogicalResourceId": resource.logical_id,
            "PhysicalResourceId": resource.physical_id,
            "ResourceType": resource.type,
            "ResourceStatus": "CREATE_COMPLETE",
        }

    def _check(self, call: Call) -> None:
        name = call.params.get("StackName")
        if name not in {None, self._name, self._id}:
            raise _error(f"Stack with id {name} does not exist")


def _error(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)
