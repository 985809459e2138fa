"""What the pages of other tests are made of can be used here too."""

import sys
from pathlib import Path

UI = Path(__file__).resolve().parents[1]
sys.path += [str(UI / "components"), str(UI / "run_card")]
