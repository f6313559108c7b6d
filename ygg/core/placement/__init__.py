"""Where a task runs and why not elsewhere: candidates in order, links that say no, and the round that asks them."""
