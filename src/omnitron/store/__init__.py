"""What the daemon must remember over its own death: desired state, claims, secrets, history. One SQLite file."""
