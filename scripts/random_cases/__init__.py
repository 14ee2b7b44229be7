"""Random cases of compare_random.py: a module a kind, each with `make` (files of one case), `expected` (what the other
program makes of them), `ours` and `problem` (what differs)."""
