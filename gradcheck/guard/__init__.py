"""What a subject may do to the process that checks it: take all its time, end it, change it."""
