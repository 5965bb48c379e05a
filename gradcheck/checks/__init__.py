"""The checks: one file each. A check sees a Subject and its own options, and returns a Result."""
