"""What the variants are worth on held-out real conversations, and how sure that is."""
