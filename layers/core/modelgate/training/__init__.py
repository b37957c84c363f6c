"""From data to a submission: training jobs."""
