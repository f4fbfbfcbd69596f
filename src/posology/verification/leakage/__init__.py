"""What of the holdout has found its way into data to be trained on: copies, near copies, paraphrases."""
