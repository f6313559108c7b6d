"""Telling people what happens: the ways to reach them, and the service that does it beside the loop."""
