"""The command line: one module a command or family; nothing below this package prints or reads the environment."""
