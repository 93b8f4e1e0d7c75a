"""The control plane: knows what should be, makes it so through keepers, and remembers. Never imports user code."""
