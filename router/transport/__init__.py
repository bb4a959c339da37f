"""HTTP and WebSockets: bytes out, bytes in, and what is known of a request that got no answer."""
