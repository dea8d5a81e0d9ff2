"""Exact inference on LC-PFN's prior, which the network approximates."""
