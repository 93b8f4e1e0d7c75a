"""Public test tools: fakes of every door, a simulated world, and systems inside tests."""
