"""`ygg init`: the first hosts.yaml, from what is found in the house, and a task that proves it."""
