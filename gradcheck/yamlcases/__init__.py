"""From YAML text to validated cases: `load` is the door, the other files are its steps."""
