"""`ygg doctor`: what ygg stands on, a module for each part."""
