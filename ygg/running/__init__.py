"""The loop that performs what the core decides, and the dispatcher that people and programs meet."""
