"""Hostile inputs, grouped by what they attack: each is built by one small function and given to real commands."""
