"""The watched runs in a browser: one page, served or written to a file."""
