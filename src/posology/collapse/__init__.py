"""Whether synthetic text is narrower or flatter than real text, held against how much real text itself varies."""
