"""Values that ``json.dumps`` accepts."""

from typing import Any

Json = Any
