"""The checks of what a model computes and of the data that it is given."""
