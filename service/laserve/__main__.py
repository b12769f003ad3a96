"""``python -m laserve``."""

from laserve.cli import main

if __name__ == "__main__":
    main(prog_name="laserve")
