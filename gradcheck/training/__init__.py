"""Training the model of a case for real: `python -m gradcheck train`.

The model, data, loss, step and optimizer are those that the case's checks probe, built by the same
`Subject`. Nothing here knows a framework.
"""
