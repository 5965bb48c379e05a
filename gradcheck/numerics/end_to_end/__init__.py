"""The second proof: every leaf against the whole forward."""
