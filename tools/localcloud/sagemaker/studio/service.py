"""Studio's API as a whole."""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.calls import Operation
from localcloud.faults import Faults
from localcloud.moto_requests import MotoRequests
from localcloud.moto_state import MotoState
from localcloud.pace import Pace
from localcloud.sagemaker.studio.apps import Apps
from localcloud.sagemaker.studio.courses import Courses
from localcloud.sagemaker.studio.domains import Domains
from localcloud.sagemaker.studio.estate import Estate
from localcloud.sagemaker.studio.home_file_systems import HomeFileSystems
from localcloud.sagemaker.studio.lifecycle_configs import LifecycleConfigs
from localcloud.sagemaker.studio.presigned_urls import PresignedUrls
from localcloud.sagemaker.studio.spaces import Spaces
from localcloud.sagemaker.studio.user_profiles import UserProfiles
from localcloud.sagemaker.tags import Tags
from localcloud.schedule import Scheduler


class Studio:
    """Domains, user profiles, spaces, apps and lifecycle configurations."""

    def __init__(
        self,
        *,
        region: str,
        pace: Pace,
        scheduler: Scheduler,
        tags: Tags,
        faults: Faults,
        moto: MotoState,
    ) -> None:
        self._estate = Estate(region)
        courses = Courses(self._estate, scheduler, faults, pace)
        homes = HomeFileSystems(MotoRequests(moto, region, "efs", "elasticfilesystem"))
        self._parts = (
            Domains(self._estate, courses, tags, homes),
            UserProfiles(self._estate, courses, tags),
            Spaces(self._estate, courses, tags),
            Apps(self._estate, courses, tags),
            LifecycleConfigs(self._estate, tags),
            PresignedUrls(self._estate),
        )

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What is answered."""
        return {name: operation for part in self._parts for name, operation in part.operations.items()}

    def exists(self, arn: str) -> bool:
        """Whether something in Studio has this ARN."""
        return self._estate.has(arn)
