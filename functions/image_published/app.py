"""A new build of an image starts the last training jobs of the groups again whose policies name it."""

from modelgate import collector

with collector.paused():
    from modelgate.events.own import ImagePublished
    from modelgate.runtime import Runtime, handles
    from modelgate.training.retraining import Summary


@handles(ImagePublished)
def handler(published: ImagePublished, runtime: Runtime) -> Summary:
    return runtime.retrainer.image_published(published.image, published.digest, published.uri)
