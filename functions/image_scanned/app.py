"""What a scan found in an image is held against the policy, whether the image is published yet or not."""

from modelgate import collector

with collector.paused():
    from modelgate.builds.publishing import Summary
    from modelgate.events.ecr import ImageScanned
    from modelgate.runtime import Runtime, handles


@handles(ImageScanned)
def handler(scanned: ImageScanned, runtime: Runtime) -> Summary:
    return runtime.publisher.scanned(scanned.detail.repository, scanned.detail.digest)
