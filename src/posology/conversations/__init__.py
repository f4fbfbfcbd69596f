"""Conversations and documents: reading and writing of formats, splitting, masking of personal data."""
