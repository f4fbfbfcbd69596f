"""Which synthetic conversations are used, and in which order."""
