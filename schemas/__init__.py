"""The wire of order-router: commands in, results out. Imports nothing of `router`."""
