"""What a training job is made of, wherever it runs: its folders, its data, its hosts, its results."""
