"""The examples, run for real as a user would. Helpers of other test folders are put on the path instead of copied."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
for folder in (ROOT / "tests" / "system", ROOT / "tests" / "unit" / "market"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
