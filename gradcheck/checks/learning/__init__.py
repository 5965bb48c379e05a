"""The checks that train: `overfit`, `multibatch`, `accumulation`."""
