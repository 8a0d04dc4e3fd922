"""Replaying files: plan, source, pacing, player, and what is shown of it."""
