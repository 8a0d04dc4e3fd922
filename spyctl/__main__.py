"""``python -m spyctl`` is ``spyctl``."""

from spyctl.cli.app import main

if __name__ == "__main__":
    main()
