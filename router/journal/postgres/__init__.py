"""The journal in PostgreSQL, for pods on many hosts."""
