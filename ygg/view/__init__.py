"""What people see: text made safe, frames drawn from snapshots, a small terminal driver."""
