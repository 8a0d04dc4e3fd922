"""What the commands have in common and is not a command."""
