"""What the journal stores: commands, orders and their events; and what a delivery says."""
