"""What Multi Model Server loads in each of its workers: the one class of this module. It takes no second."""

from __future__ import annotations

from sagemaker_inference.default_handler_service import DefaultHandlerService

from .inference_handler import BriefTransformer, SpeciesHandler


class HandlerService(DefaultHandlerService):  # type: ignore[misc]  # the toolkit is untyped
    """The toolkit's service, with our functions where the model brings none of its own."""

    def __init__(self) -> None:
        super().__init__(transformer=BriefTransformer(default_inference_handler=SpeciesHandler()))
