"""Released weights; see README.md beside this file."""
