"""The commands, one file each: `EXAMPLE`, `add_options` and `run`."""
