"""Trainers: a mixture goes in, a variant comes out."""
