"""From gaps to candidates: plan, prompts, replies, format checks."""
