"""`python -m gradcheck watch`: a training script as it is, run under observation and diagnosed."""
