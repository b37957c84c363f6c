"""Runs a container of one's own through what SageMaker demands of one, before SageMaker does."""
