"""What a local cloud has made in the machine's Docker Engine goes with it."""

from __future__ import annotations

from pathlib import Path

from docker import DockerClient

from tests.docker.conftest import BASE_IMAGE, BuildImage
from tests.docker.test_serving import DOCKERFILE, PULLS, SERVER, Serving, containers, pushed
from tests.integration.test_local_cloud_small_stack import small_stack


def digests(engine: DockerClient) -> list[str]:
    """The names by digest of all images in the engine's store."""
    return [name for image in engine.api.images() for name in image["RepoDigests"] or []]


def test_a_local_cloud_takes_everything_with_it_also_what_one_on_its_port_had_left(
    engine: DockerClient, build_image: BuildImage, tmp_path: Path
) -> None:
    tiny = build_image(DOCKERFILE, {"server.py": SERVER})
    with small_stack(tmp_path, template=PULLS) as cloud:
        ours = f"modelgate.localcloud={cloud.url.rpartition(':')[2]}"
        label = dict([ours.split("=")])
        # As one leaves them that was killed.
        left = engine.containers.run(BASE_IMAGE, ["sleep", "300"], labels=label, detach=True)
        network = engine.networks.create(f"modelgate-test-{left.short_id}", labels=label)

        serving = Serving(cloud, tiny)
        uri = cloud.client("ecr").create_repository(repositoryName="tiny")["repository"]["repositoryUri"]
        pushed(serving, engine, tiny, uri, "1")
        serving.serve_model("iris", serving.container(f"{uri}:1"), EnableNetworkIsolation=True)
        (serves,) = engine.containers.list(all=True, filters={"label": ours})
        assert [serves.name] == containers(engine, "iris")
        (isolating,) = engine.networks.list(filters={"label": ours})
        assert isolating.id != network.id
        assert any(name.startswith(uri) for name in digests(engine))

    assert engine.containers.list(all=True, filters={"label": ours}) == []
    assert engine.networks.list(filters={"label": ours}) == []
    assert not any(name.startswith(uri) for name in digests(engine))
    assert engine.images.get(tiny)
