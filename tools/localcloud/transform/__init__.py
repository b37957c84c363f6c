"""Batch transform: what a job sends to a model's containers, and what it makes of their answers."""
