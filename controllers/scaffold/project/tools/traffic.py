"""Ask the endpoint about known deliveries, so that a canary has something to judge and the monitor something to watch.

python tools/traffic.py [--seconds 60] [--rate 20] [--url http://127.0.0.1:8000/late] [--rows FILE]

With --rows it asks about rows of your own: JSON, one instance a line, as callers send them.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict, deque
from pathlib import Path

DATA = Path(__file__).resolve().parents[1] / "data" / "deliveries.csv"


def instances() -> list[dict[str, object]]:
    """The rows of the data as requests have them, with what each courier's last deliveries were late by."""
    recent: dict[str, deque[float]] = defaultdict(lambda: deque([0.0], maxlen=8))
    found: list[dict[str, object]] = []
    with DATA.open(newline="") as file:
        for row in csv.DictReader(file):
            past = recent[row["courier"]]
            found.append(
                {
                    "delivery_id": int(row["delivery_id"]),
                    "accepted": row["accepted"],
                    "courier": row["courier"],
                    "district": row["district"],
                    "distance_km": float(row["distance_km"]),
                    "parcels": int(row["parcels"]),
                    "rain_mm": float(row["rain_mm"]),
                    "mean_delay_24h": sum(past) / len(past),
                }
            )
            past.append(float(row["minutes_late"]))
    return found


def own(file: Path) -> list[dict[str, object]]:
    """The instances of a file, one a line."""
    return [json.loads(line) for line in file.read_text().splitlines() if line.strip()]


def ask(url: str, rows: list[dict[str, object]]) -> str:
    """The app that answered, or what went wrong."""
    body = json.dumps({"instances": rows}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(json.load(answer)["app"])
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read(200).decode(errors='replace')}"
    except OSError as error:
        return str(error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000/late")
    parser.add_argument("--rate", type=float, default=20.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rows", type=Path, help="instances as JSON, one a line; default: the deliveries")
    options = parser.parse_args()
    if options.rows is None and not DATA.exists():
        parser.error(f"{DATA} is gone: name rows of your own with --rows FILE")
    rows = own(options.rows) if options.rows is not None else instances()
    answers: Counter[str] = Counter()
    began = time.monotonic()
    for number in range(int(options.rate * options.seconds)):
        answers[ask(options.url, [rows[number * 997 % len(rows)]])] += 1
        time.sleep(max(0.0, began + (number + 1) / options.rate - time.monotonic()))
    for answer, count in answers.most_common():
        print(f"{count:6} {answer}")


if __name__ == "__main__":
    main()
