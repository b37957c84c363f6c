"""A SageMaker whose states take time, whose updates merge, and whose endpoints really serve."""
