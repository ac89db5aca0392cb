"""`python -m iiiffs`."""

from iiiffs.cli import main

if __name__ == "__main__":
    main()
