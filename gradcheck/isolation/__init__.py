"""Checks in a child process: what the subject does there, the run survives."""
