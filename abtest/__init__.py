"""A self-hosted A/B-test server for mobile apps."""
