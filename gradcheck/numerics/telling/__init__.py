"""From what was seen to findings and figures."""
