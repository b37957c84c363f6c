"""Stand-ins for SageMaker's prebuilt containers. They import nothing of the local cloud but each other."""
