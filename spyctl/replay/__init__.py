"""Replaying files: plan, source, pacing, player, result and display."""
