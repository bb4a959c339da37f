"""What the journal does, as SQL that both databases take."""
