"""Simulated searches: stopping rules against each other on recorded runs."""
