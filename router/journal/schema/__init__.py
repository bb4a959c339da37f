"""The versions of the schema, plain SQL, each applied once."""
