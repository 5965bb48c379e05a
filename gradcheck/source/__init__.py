"""Lines of source: where something is defined, what a line says, and how a place is shown."""
