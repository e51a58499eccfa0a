"""What people change, as JSON for programs."""
