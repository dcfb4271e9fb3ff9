"""A browser for the checks that need one, and their plan, which stands on stdin as JSON. Exit code 3: there is none."""

import json
import os
import shutil
import sys

try:
    from playwright.sync_api import sync_playwright
except ImportError as error:
    print(f"not there: {error} (pip install playwright)", file=sys.stderr)
    sys.exit(3)

NAMES = ["chromium", "chromium-browser", "google-chrome", "chrome"]
CHROMIUM = os.environ.get("JOURNEYQL_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
if CHROMIUM is None:
    print("not there: chromium (apt-get install chromium, or set JOURNEYQL_CHROMIUM)", file=sys.stderr)
    sys.exit(3)

PLAN = json.load(sys.stdin)
