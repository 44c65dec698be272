"""Label-free adaptation of image classifiers; knows nothing of the web or the queue."""
