"""The variables that a host of a training job finds, whatever it runs in.

"How Amazon SageMaker AI Provides Training Information" in the SageMaker Developer Guide names the first two;
the region is what AWS's own containers read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from localcloud.training.hosts import OPT_ML

if TYPE_CHECKING:
    from localcloud.training.job import TrainingDescription

# What the images of prebuilt containers set themselves, by the name of their stand-in.
OF_IMAGES: Mapping[str, Mapping[str, str]] = {
    "sklearn": {"SAGEMAKER_TRAINING_MODULE": "sagemaker_sklearn_container.training:main"},
    "xgboost": {
        "SAGEMAKER_TRAINING_MODULE": "sagemaker_xgboost_container.training:main",
        "SM_INPUT_TRAINING_CONFIG_FILE": f"{OPT_ML}/input/config/hyperparameters.json",
        "SM_INPUT_DATA_CONFIG_FILE": f"{OPT_ML}/input/config/inputdataconfig.json",
        "SM_CHECKPOINT_CONFIG_FILE": f"{OPT_ML}/input/config/checkpointconfig.json",
    },
}


def variables(description: TrainingDescription) -> dict[str, str]:
    """What SageMaker sets, and what the job does."""
    return {
        "AWS_REGION": description.region,
        **description.environment,
        "TRAINING_JOB_NAME": description.name,
        "TRAINING_JOB_ARN": description.arn,
    }
