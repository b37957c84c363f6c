"""What several services call the same."""

STACK_TAG = "modelgate:stack"
# The one variant of each endpoint, as SageMaker's console calls it.
VARIANT = "AllTraffic"
