"""What `order-router demo`, `dev` and the tests start: a private RabbitMQ node, simulated venues, a worker."""
