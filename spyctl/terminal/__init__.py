"""Text and boxes for a terminal; nothing here knows a command."""
