"""A run inside pytest: what is collected, how it is dealt to workers, what an item does."""
