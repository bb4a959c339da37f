"""A command's life: taken, planned, sent, looked up, answered."""
