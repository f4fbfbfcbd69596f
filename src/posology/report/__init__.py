"""The report: one self-contained HTML file, and its verdict and table for the terminal, from stored results only."""
