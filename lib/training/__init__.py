"""The network, its training, and the embedding of candidates."""
