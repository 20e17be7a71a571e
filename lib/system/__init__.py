"""The machine and the process: cores, memory, device, ranks, checks before a run."""
