"""Runs that are being logged somewhere, watched live."""
