"""A running dispatcher: what surrounds it, and the event loop it lives in."""
