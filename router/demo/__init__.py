"""What `order-router demo` and the tests start: a private RabbitMQ node, simulated venues, a worker."""
