"""One module per group of figures, each with `run(quick) -> list[Row]`."""
