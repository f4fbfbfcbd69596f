"""What real training data lacks, and how many examples to ask for."""
