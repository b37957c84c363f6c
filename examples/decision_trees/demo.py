"""A container of one's own on the local cloud: from source and data to predictions, in real containers.

    python -m examples.decision_trees.demo

Without a Docker Engine it says so, and there is nothing to show. What it comes to is written to
``build/demo-containers.json``; the exit code is 0 only if every expectation held.
"""

from __future__ import annotations

import io
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from examples.story import (
    ModelStory,
    ask,
    decide,
    describe_version,
    follow_the_endpoint,
    main,
    no_event_is_left,
    subscribe,
    tell_the_verdict,
)
from localcloud.engine import Engine, NoEngineError
from modelgate_cli.source_archive import pack_source

_HERE = Path(__file__).parent
RESULT = Path("build", "demo-containers.json")
GROUP = "trees"
IMAGE = "decision-trees"
RUN = "first"
# Its packages have to be downloaded where no layer of it was ever built.
_BUILD_SECONDS = 600.0
_JOB_SECONDS = 60.0
_SHOWN_LINES = 3

FLOWERS = {"5.0,3.4,1.5,0.2": "setosa", "6.6,3.0,5.7,2.2": "virginica"}


def tell(story: ModelStory) -> None:
    """The story, from beginning to end."""
    a_cloud_with_a_policy(story)
    uri = a_source_becomes_an_image(story)
    the_same_source_is_not_built_again(story, uri)
    the_container_trains(story, uri)
    the_tree_is_registered_with_its_image(story, uri)
    an_operator_approves_it_and_it_is_served(story, uri)
    a_batch_transform_answers_as_the_endpoint_does(story)
    no_event_is_left(story)


def a_cloud_with_a_policy(story: ModelStory) -> None:
    story.chapter("A container of one's own, on AWS on this machine")
    story.queue = subscribe(story.cloud)
    policy = _HERE / "policy.yaml"
    story.cloud.client("s3").upload_file(str(policy), story.cloud.outputs["Bucket"], f"policies/{GROUP}.yaml")
    story.wait_for_announcement("Policy Accepted", lambda each: each["group"] == GROUP)


def a_source_becomes_an_image(story: ModelStory) -> str:
    story.chapter("A data scientist uploads a source: CodeBuild builds it")
    upload_source(story, "first")
    told = published(story, 1)
    described = story.cloud.client("ecr").describe_images(
        repositoryName=IMAGE, imageIds=[{"imageTag": told["tag"]}]
    )["imageDetails"][0]
    story.expect("the digest that ECR has", described["imageDigest"], told["digest"])
    story.tell("ECR", f"{told['uri']}", "blue")
    return str(told["uri"])


def the_same_source_is_not_built_again(story: ModelStory, uri: str) -> None:
    story.chapter("The same source once more: nothing is built")
    before = builds(story)
    upload_source(story, "second")
    story.expect("the image", published(story, 2)["uri"], uri)
    story.expect("the builds that there are", builds(story), before)


def the_container_trains(story: ModelStory, uri: str) -> None:
    story.chapter("Data and a job.yaml are uploaded: docker run IMAGE train")
    folder = f"training/{GROUP}/{RUN}"
    # The document last: it starts the job.
    for file in [*sorted(_HERE.glob("data/*/*.csv")), _HERE / "job.yaml"]:
        put(story, f"{folder}/{file.relative_to(_HERE).as_posix()}", file.read_bytes())
    started = story.wait_for_announcement("Training Started", of_this_run, _JOB_SECONDS)
    finished = story.wait_for_announcement("Training Finished", of_this_run, _JOB_SECONDS)
    job = story.cloud.client("sagemaker").describe_training_job(TrainingJobName=finished["job"])
    story.expect("the image that trained", job["AlgorithmSpecification"]["TrainingImage"], uri)
    story.expect("the job that was started", started["job"], finished["job"])
    for line in log_of(story, "/aws/sagemaker/TrainingJobs", f"{finished['job']}/algo-1"):
        story.tell("CloudWatch", line)


def the_tree_is_registered_with_its_image(story: ModelStory, uri: str) -> None:
    story.chapter("What the job made is a submission, with the image that made it and serves it")
    told = story.wait_for_announcement("Model Registered", lambda each: each["group"] == GROUP)
    story.expect("the version that was registered", told["version"], 1)
    tell_the_verdict(story, RUN)
    described = describe_version(story, 1)
    (container,) = described["InferenceSpecification"]["Containers"]
    story.expect("the image of version 1", container["Image"], uri)
    story.tell("registry", f"version 1 of {GROUP} is served by exactly {container['Image']}", "blue")
    made_by = described["MetadataProperties"]["GeneratedBy"]
    story.tell("registry", f"it was made by {made_by}", "blue")


def an_operator_approves_it_and_it_is_served(story: ModelStory, uri: str) -> None:
    story.chapter("An operator approves it: docker run IMAGE serve")
    decide(story, 1, "Approved", "A tree in a container of its own")
    follow_the_endpoint(story, version=1)
    for flower, species in FLOWERS.items():
        answer: dict[str, Any] = ask(story, flower)
        story.expect(f"the answer to {flower}", answer, {"predictions": [species]})
        story.remember(flower, answer["predictions"], "InService")
        story.tell("runtime", f"{flower} → {species}", "cyan")
    for line in log_of(story, f"/aws/sagemaker/Endpoints/{GROUP}")[-_SHOWN_LINES:]:
        story.tell("CloudWatch", line)
    story.expect("whether the container is of that very image", uri in images_that_serve(), wanted=True)


def a_batch_transform_answers_as_the_endpoint_does(story: ModelStory) -> None:
    story.chapter("Many flowers at once: a batch transform with the version that is live")
    folder = f"transforms/{GROUP}/{RUN}"
    put(story, f"{folder}/input/flowers.csv", "\n".join(FLOWERS).encode())
    asked = {"location": "input/", "content_type": "text/csv", "split": "line"}
    told = {"input": asked, "output": {"accept": "text/csv", "assemble": "line"}}
    put(story, f"{folder}/job.yaml", json.dumps(told).encode())
    finished = story.wait_for_announcement("Transform Finished", of_this_run, _JOB_SECONDS)
    story.expect("the version that was asked", finished["version"], 1)
    answers = story.cloud.client("s3").get_object(
        Bucket=story.cloud.outputs["Bucket"], Key=f"transformed/{GROUP}/{RUN}/flowers.csv.out"
    )["Body"]
    with answers as stream:
        species = stream.read().decode().split()
    story.expect("its answers", species, list(FLOWERS.values()))
    story.tell("transform", f"{len(species)} flowers → {', '.join(species)}", "cyan")


# ── what a chapter is made of ─────────────────────────────────────────────────────────────────────
def put(story: ModelStory, key: str, body: bytes) -> None:
    story.cloud.client("s3").put_object(Bucket=story.cloud.outputs["Bucket"], Key=key, Body=body)
    story.tell("S3", f"{key} is uploaded ({len(body)} bytes)")


def upload_source(story: ModelStory, name: str) -> None:
    source = io.BytesIO()
    pack_source(_HERE, source)
    put(story, f"sources/{IMAGE}/{name}.zip", source.getvalue())


def of_this_run(told: dict[str, Any]) -> bool:
    return bool(told["group"] == GROUP and told["run"] == RUN)


def published(story: ModelStory, count: int) -> dict[str, Any]:
    """The announcement of the image, which is the n-th of its kind; or of why there is none."""

    def told() -> dict[str, Any] | None:
        kinds = {"Image Published", "Image Build Failed", "Source Refused", "Image Refused"}
        about = [each for each in story.announcements if each["kind"] in kinds]
        return about[count - 1] if len(about) >= count else None

    news = story.wait_for("the end of the build", told, _BUILD_SECONDS)
    story.expect("what came of the source", news["kind"], "Image Published")
    return news


def builds(story: ModelStory) -> list[str]:
    project = story.cloud.outputs["Builder"]
    listed: list[str] = story.cloud.client("codebuild").list_builds_for_project(projectName=project)["ids"]
    return listed


def images_that_serve() -> list[str]:
    """By their digests, as the engine has them."""
    engine = Engine()
    try:
        running = engine.client.containers.list(filters={"label": f"modelgate.endpoint={GROUP}"})
        images = [container.image for container in running if container.image is not None]
        return [name for image in images for name in image.attrs["RepoDigests"]]
    finally:
        engine.close()


def log_of(story: ModelStory, group: str, stream: str = "") -> list[str]:
    """What stands in the streams of a log group whose names begin so."""
    wanted = {"logStreamNamePrefix": stream} if stream else {}
    found = story.cloud.client("logs").filter_log_events(logGroupName=group, **wanted)["events"]
    return [event["message"] for event in found]


def start() -> int:
    engine = Engine()
    try:
        engine.client.ping()
    except NoEngineError as error:
        sys.stdout.write(f"\nNo images are built and no containers of one's own run here: {error}\n")
        return 0
    finally:
        engine.close()
    return main(partial(ModelStory, group=GROUP), tell, RESULT)


if __name__ == "__main__":
    sys.exit(start())
