"""Studies done once, whose results the documentation quotes."""
