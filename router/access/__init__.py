"""What is needed to speak to a venue: its accounts ready to sign, its limits, its reads."""
