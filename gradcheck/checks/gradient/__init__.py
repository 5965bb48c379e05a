"""The check `gradient`: is every entry of every gradient right."""
