"""Pure decisions of the daemon: specs, claims, plans, order, directory, why. No I/O, no clock, no asyncio."""
