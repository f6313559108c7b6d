"""What a host can take now: readings, what they mean, and the gate they move."""
