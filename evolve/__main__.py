"""`python -m evolve`."""

from evolve.cli.main import main

if __name__ == "__main__":
    main()
