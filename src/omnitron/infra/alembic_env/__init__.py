"""The Alembic environment for folders that hold revisions only."""
