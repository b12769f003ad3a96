"""``python -m laserve``, and the first module that a process started by multiprocessing imports."""

from laserve.cli import main
from laserve.engines.orphans import end_with_parent

end_with_parent()

if __name__ == "__main__":
    main(prog_name="laserve")
