"""The command line: a module per command; nothing below this package prints or reads the environment."""
