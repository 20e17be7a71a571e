"""From a few picked candidates to a score of all."""
