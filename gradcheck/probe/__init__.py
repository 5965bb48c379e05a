"""A subject: one op or model, one batch, one loss, ready to be probed."""
