"""Which texts are the same message twice: exact copies, near copies, and groups of them."""
