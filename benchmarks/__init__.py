"""`python -m benchmarks [names] [--quick]`: what Omnitron costs, beside what one would use instead."""
