"""The whole story on the local cloud: from data to an endpoint that goes back by itself, and back to data.

    python -m examples.iris.demo

What it comes to is written to ``build/demo.json``; the exit code is 0 only if every expectation held.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from examples.story import (
    ModelStory,
    ask,
    ask_for_training,
    decide,
    describe_version,
    follow_the_endpoint,
    follow_the_training,
    main,
    no_event_is_left,
    subscribe,
    tell_the_verdict,
    transform,
    upload,
)
from modelgate.manifest import SmokeTest
from modelgate_cli.pack import Packed, pack

if TYPE_CHECKING:
    from examples.iris.train import Trained

_HERE = Path(__file__).parent
RESULT = Path("build", "demo.json")

GROUP = "iris"
SKLEARN = "1.9-0"

# One flower of each species, with measures that no tree has seen exactly.
FLOWERS = {"5.0,3.4,1.5,0.2": "setosa", "5.9,2.8,4.3,1.3": "versicolor", "6.6,3.0,5.7,2.2": "virginica"}


# ── the chapters ──────────────────────────────────────────────────────────────────────────────────
def tell(story: ModelStory) -> None:
    """The story, from beginning to end."""
    a_cloud_with_a_stack_and_a_policy(story)
    a_tree_is_trained_and_passes_the_gate(story, depth=2, version=1)
    an_operator_approves_it_and_it_is_served(story)
    a_better_tree_passes_the_gate(story)
    overwriting_the_upload_changes_nothing(story)
    the_endpoint_answers_while_it_moves(story)
    a_batch_transform_answers_as_the_endpoint_does(story)
    a_worse_tree_is_refused(story)
    rejecting_what_is_live_goes_back(story)
    nothing_is_left_undone(story)


def a_cloud_with_a_stack_and_a_policy(story: ModelStory) -> None:
    story.chapter("AWS on this machine, with the stack of template.yaml")
    cloud = story.cloud
    story.tell("local cloud", f"answers at {cloud.url}; any AWS client can use it with AWS_ENDPOINT_URL")
    story.queue = subscribe(cloud)
    story.tell("SQS", "a queue of the user's own listens to the announcements")
    policy = _HERE / "policy.yaml"
    cloud.client("s3").upload_file(str(policy), cloud.outputs["Bucket"], f"policies/{GROUP}.yaml")
    story.tell("S3", f"policies/{GROUP}.yaml is uploaded: what the group {GROUP} demands of a version")
    story.wait_for_announcement("Policy Accepted", lambda each: each["group"] == GROUP)


def a_tree_is_trained_and_passes_the_gate(story: ModelStory, *, depth: int, version: int) -> None:
    story.chapter(f"A data scientist uploads flowers, a script and job.yaml: a tree of depth {depth}")
    name = f"depth-{depth}"
    ask_for_training(story, name, _HERE, {"max-depth": depth})
    finished = follow_the_training(story, name)
    metrics = ", ".join(f"{key} {value:.3f}" for key, value in sorted(finished["metrics"].items()))
    story.tell("training job", f"what it made is submitted by itself: {metrics}")
    told = story.wait_for_announcement("Model Registered", lambda each: each["submission"] == name)
    story.expect("the version that was registered", told["version"], version)
    tell_the_verdict(story, name)
    described = describe_version(story, version)
    approval = described["ModelApprovalStatus"]
    story.tell("registry", f"version {version} of {GROUP} is {approval}", "blue")
    story.expect(f"the approval of version {version}", approval, "PendingManualApproval")


def an_operator_approves_it_and_it_is_served(story: ModelStory) -> None:
    story.chapter("An operator approves version 1, and an endpoint is made for it")
    decide(story, 1, "Approved", "Good enough to begin with")
    follow_the_endpoint(story, version=1)
    predict(story)


def a_better_tree_passes_the_gate(story: ModelStory) -> None:
    a_tree_is_trained_and_passes_the_gate(story, depth=4, version=2)


def overwriting_the_upload_changes_nothing(story: ModelStory) -> None:
    story.chapter("Somebody overwrites the upload of version 2, which is registered already")
    key = f"models/{GROUP}/depth-4/model.tar.gz"
    story.cloud.client("s3").put_object(
        Bucket=story.cloud.outputs["Bucket"], Key=key, Body=b"no model at all"
    )
    story.tell("S3", f"{key} is overwritten")
    told = story.wait_for_announcement("Submission Refused", lambda each: each["submission"] == "depth-4")
    story.expect("the version that stays", told["version"], 2)
    specification = describe_version(story, 2)["InferenceSpecification"]
    url = specification["Containers"][0]["ModelDataUrl"]
    story.tell("registry", f"version 2 points at what was judged: {url}", "blue")
    story.expect("whose part of the bucket that is", url.split("/")[3], "registered")


def the_endpoint_answers_while_it_moves(story: ModelStory) -> None:
    story.chapter("Version 2 is approved, and the endpoint answers while it is updated")
    decide(story, 2, "Approved", "Better than what is live")

    def moving() -> str | None:
        status = story.endpoint()["EndpointStatus"]
        return status if status == "Updating" else None

    story.wait_for("the update", moving)
    flower, species = next(iter(FLOWERS.items()))
    answer = ask(story, flower)
    status = story.endpoint()["EndpointStatus"]
    story.expect("the endpoint's status around that prediction", status, "Updating")
    story.expect(f"the answer to {flower}", answer, [species])
    story.remember(flower, answer, status)
    story.tell("runtime", f"while {status}: {flower} → {answer[0]}", "cyan")
    follow_the_endpoint(story, version=2)
    predict(story)


def a_batch_transform_answers_as_the_endpoint_does(story: ModelStory) -> None:
    story.chapter("Version 2 answers many rows at once, without the endpoint")
    answers = transform(story, "flowers", "\n".join(FLOWERS))
    for flower, answer in zip(FLOWERS, answers, strict=True):
        story.tell("S3", f"{flower} → {answer}", "cyan")
    story.expect("its answers", answers, [ask(story, flower)[0] for flower in FLOWERS])


def a_worse_tree_is_refused(story: ModelStory) -> None:
    story.chapter("A tree of depth 1, trained elsewhere, is worse, and the gate says so")
    before = story.versions()
    name = submit(story, 1)
    told = story.wait_for_announcement("Submission Refused", lambda each: each["submission"] == name)
    tell_the_verdict(story, name)
    for reason in told["reasons"]:
        story.tell("reason", reason, "red")
    story.expect("the number of reasons", len(told["reasons"]), 2)
    story.expect("the versions in the registry", story.versions(), before)


def rejecting_what_is_live_goes_back(story: ModelStory) -> None:
    story.chapter("Version 2 is rejected while it is live, and the endpoint goes back")
    decide(story, 2, "Rejected", "The greenhouse complains")
    follow_the_endpoint(story, version=1)
    predict(story)


def nothing_is_left_undone(story: ModelStory) -> None:
    story.chapter("What it came to")
    no_event_is_left(story)
    approvals = {each["version"]: each["approval"] for each in story.versions()}
    for version, approval in approvals.items():
        story.tell("registry", f"version {version} of {GROUP} is {approval}", "blue")
    story.expect("the approvals", approvals, {1: "Approved", 2: "Rejected"})
    kinds = [each["kind"] for each in story.announcements if each["kind"] != "Submission Waiting"]
    trained = ["Training Started", "Training Finished", "Model Registered"]
    told = ["Policy Accepted", *trained, "Release Live", *trained, "Submission Refused", "Release Live"]
    told += ["Transform Started", "Transform Finished", "Submission Refused", "Release Live"]
    story.expect("the announcements", kinds, told)


# ── what a chapter is made of ─────────────────────────────────────────────────────────────────────
def submit(story: ModelStory, depth: int) -> str:
    """Trains, packs and uploads a tree. Returns the submission's name."""
    from examples.iris.train import train

    folder = story.folder / f"depth-{depth}"
    trained = train(depth, folder)
    metrics = ", ".join(f"{name} {value:.3f}" for name, value in trained.metrics.items())
    story.tell("scikit-learn", f"a tree of depth {depth} is trained: {metrics}")
    packed = pack_tree(trained, depth, folder / "submission")
    name = f"depth-{depth}"
    upload(story, name, packed.files)
    return name


def pack_tree(trained: Trained, depth: int, out: Path) -> Packed:
    """The submission of a trained tree, with the example's own inference script."""
    return pack(
        trained.model,
        framework="sklearn",
        version=SKLEARN,
        script=_HERE / "code" / "inference.py",
        metrics=trained.metrics,
        content_types=["text/csv", "application/json"],
        response_types=["application/json", "text/csv"],
        smoke_test=SmokeTest(content_type="text/csv", body="5.1,3.5,1.4,0.2", expect="setosa"),
        description=f"Iris tree, depth {depth}",
        out=out,
        overwrite=True,
    )


def predict(story: ModelStory) -> None:
    """Asks for one flower of each species, over HTTP, through the runtime API."""
    for flower, species in FLOWERS.items():
        answer = ask(story, flower)
        story.remember(flower, answer, story.endpoint()["EndpointStatus"])
        story.tell("runtime", f"{flower} → {answer[0]}", "cyan")
        story.expect(f"the answer to {flower}", answer, [species])


if __name__ == "__main__":
    sys.exit(main(partial(ModelStory, group=GROUP), tell, RESULT))
