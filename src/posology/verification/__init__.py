"""What is wrong with a candidate, and how good it is: checks from data, judges, calibration."""
