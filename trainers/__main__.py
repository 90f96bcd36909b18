"""`python -m trainers RUN_DIR` runs what RUN_DIR/spec.json says, without any service."""

import sys
from pathlib import Path

from trainers.run import run

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m trainers RUN_DIR")
    sys.exit(run(Path(sys.argv[1])))
