"""The ARNs of what is in Studio, in lower case as SageMaker writes them."""

from __future__ import annotations

from localcloud.permissions import sagemaker_arn


def domain(region: str, domain_id: str) -> str:
    """Of a domain."""
    return sagemaker_arn(region, "domain", domain_id)


def user_profile(region: str, domain_id: str, name: str) -> str:
    """Of a user profile."""
    return sagemaker_arn(region, "user-profile", f"{domain_id}/{name}")


def space(region: str, domain_id: str, name: str) -> str:
    """Of a space."""
    return sagemaker_arn(region, "space", f"{domain_id}/{name}")


def app(region: str, domain_id: str, owner: str, app_type: str, name: str) -> str:
    """Of an app; its owner is a user profile or a space."""
    return sagemaker_arn(region, "app", f"{domain_id}/{owner}/{app_type}/{name}")


def lifecycle_config(region: str, name: str) -> str:
    """Of a lifecycle configuration."""
    return sagemaker_arn(region, "studio-lifecycle-config", name)
