"""`ygg models`: what model servers keep."""
