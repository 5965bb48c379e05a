"""The contestants of `benchmarks/peers.py`, a module each, and what they are all shown."""
