"""What ygg once got wrong, end to end: a real daemon, a server that says exactly what the case says.

One file a chapter. Each case stands with its neighbours: the other inputs of its kind.
"""
