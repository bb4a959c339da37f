"""The processes: `worker` and `feed`, and how everything is built once for both."""
