"""What is checked on a deployed stack."""
