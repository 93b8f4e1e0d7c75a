"""What runs in each replica: reads user code, builds it, serves it, ends it. `describe` only reads."""
