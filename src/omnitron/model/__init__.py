"""What a definition says: frozen structs, one noun a file. Pure: no I/O, no clock, no asyncio."""
