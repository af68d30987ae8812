"""Let the tests of this folder, and the ranks that they start, import what lies beside them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
