"""What one would use instead: each in the least code that does the same job."""
