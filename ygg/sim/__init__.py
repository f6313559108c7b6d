"""Simulated model servers and the demo that runs the real loop against them."""
