"""What Modelgate calls the same in several services of AWS."""

# On everything that Modelgate makes, with the stack's name; nothing without it is ever touched.
STACK_TAG = "modelgate:stack"
# The one variant of each endpoint, as SageMaker's console calls it.
VARIANT = "AllTraffic"
