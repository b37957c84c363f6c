"""Batch transform: predictions for many inputs at once, by a version of the registry."""
