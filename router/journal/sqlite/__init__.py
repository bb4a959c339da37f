"""The journal in a SQLite file: one writer thread, for the processes of one host."""
