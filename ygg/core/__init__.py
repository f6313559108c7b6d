"""The decisions of ygg: pure, synchronous, without clock or I/O. Enter through `step.step`."""
