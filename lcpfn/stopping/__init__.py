"""When to stop a run: one decision, and what hosts need around it."""
