"""ygg: one durable, priority-sorted task queue for every GPU in the house."""

__version__ = "0.1.0"
