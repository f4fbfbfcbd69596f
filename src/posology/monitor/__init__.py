"""Drift after deployment: a baseline, weekly checks of held-out accuracy and of traffic, a history."""
