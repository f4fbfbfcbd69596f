"""Text to vectors: the encoders, the cache on disk, and the embedder that stages work with."""
