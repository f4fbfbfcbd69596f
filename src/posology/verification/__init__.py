"""What is wrong with a candidate, and how good it is: checks from data, judges, calibration. None of it generated it."""
