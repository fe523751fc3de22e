"""The whole way on real data: from a commit to a served, watched model, to a bad candidate that harms nobody, and back.

    python -m examples.flights.demo [--folder .mlops-demo] [--down] [--free-ports]

Everything happens in a git repository of its own below ``--folder``; every change is a commit there.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date
from pathlib import Path

from examples.flights.screen import Screen
from examples.flights.stage import DemoError, Stage
from examples.flights.story import BETTER_MODEL, BROKEN_CANDIDATE
from framework.api.meta import Ref

MODEL, ENDPOINT, MONITOR = (
    Ref("TrainingJob", "delay-classifier"),
    Ref("ModelDeployment", "delay"),
    Ref("ModelMonitor", "delay-monitor"),
)
APRIL, SUMMER = (date(2013, 4, 1), date(2013, 5, 1)), (date(2013, 8, 1), date(2013, 9, 1))
SUMMER_BATCH, SUMMER_SECONDS = 8, 12
"""Flights per request, and how long they are asked about before the first outcomes are known."""


def play(stage: Stage, screen: Screen) -> None:
    """The seven acts. Raises DemoError when something does not come about."""
    with screen.act("Prepare a git repository with specs, code and 336,776 flights"):
        first = stage.prepare()
        screen.tell(f"{stage.rows:,} flights in {stage.folder}; first commit {first[:7]}")

    with screen.act("mlopsctl up: the embedded Ray and the controller") as act:
        for line in stage.mlopsctl("up").splitlines():
            screen.tell(line)
        act.waits_for(stage.activity)

    with screen.act("Reconcile the first commit: features, training, serving, monitoring") as act:
        act.waits_for(stage.activity)
        stage.until_settled(first, 240)
        model = stage.live_version()
        screen.tell(f"{model.training}@{model.version} serves, test AUC {model.metrics['auc']:.3f}")

    with screen.act("Replay April while a better model is committed, trained and rolled out") as act:
        act.waits_for(stage.activity)
        stage.start_traffic(*APRIL)
        better = stage.commit(BETTER_MODEL)
        screen.tell(f"commit {better[:7]}: {BETTER_MODEL.message}")
        stage.until_settled(better, 240)
        new = stage.live_version()
        if new.version == model.version:
            raise DemoError("the better model was not promoted")
        screen.tell(
            f"weights went {stage.weights_seen(ENDPOINT)}; {new.version} serves, test AUC {new.metrics['auc']:.3f}"
        )

    with screen.act("Commit a candidate that fails: callers notice nothing, it goes back by itself") as act:
        act.waits_for(stage.activity)
        broken = stage.commit(BROKEN_CANDIDATE)
        screen.tell(f"commit {broken[:7]}: {BROKEN_CANDIDATE.message}")
        stage.until_settled(broken, 120)
        screen.tell(stage.message(ENDPOINT))
        stage.stop_traffic()
        if stage.live_version().version != new.version:
            raise DemoError("the stable version was lost")

    with screen.act("Replay August, land its outcomes late, and watch the monitor") as act:
        act.waits_for(stage.activity)
        stage.start_traffic(*SUMMER, batch=SUMMER_BATCH)
        time.sleep(SUMMER_SECONDS)
        screen.tell(f"{stage.land(*SUMMER):,} outcomes landed")
        stage.until_judged(MONITOR, 120)
        stage.stop_traffic()
        screen.tell(stage.summary(MONITOR))
        screen.tell(f"alerts: {stage.alerts()}; the report: {stage.report}")

    with screen.act("git revert to the first model: live without training") as act:
        act.waits_for(stage.activity)
        reverted = stage.revert(broken, better)
        seconds = stage.until_answered_by(model.version, 60)
        screen.tell(f"commit {reverted[:7]}: {model.version} answers again after {seconds:.1f} s, nothing was trained")
        stage.until_settled(reverted, 60)

    with screen.act("Reconcile once more: nothing to do"):
        stage.mlopsctl("down", "--keep-ray")
        screen.tell(stage.mlopsctl("reconcile", "--once", "--quiet"))
        stage.mlopsctl("up")


def closing(stage: Stage, screen: Screen) -> None:
    """What is left standing, and where to look at it."""
    screen.rule()
    screen.show(stage.mlopsctl("status"))
    screen.rule()
    for name, value in stage.links().items():
        screen.show(f"{name + ':':16} {value}")
    screen.show(f"{'Requests:':16} {stage.tally}")
    screen.show(f"failed requests: {stage.tally.failures}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(".mlops-demo"))
    parser.add_argument(
        "--down", action="store_true", help="stop everything at the end instead of leaving it to look at"
    )
    parser.add_argument("--free-ports", action="store_true", help="any ports, where 8265 or 8000 are taken")
    options = parser.parse_args()
    folder = options.folder.resolve()
    stage = Stage(folder, Path(__file__).resolve().parents[2], free_ports=options.free_ports)
    screen = Screen()
    began = time.monotonic()
    try:
        play(stage, screen)
        closing(stage, screen)
    except (DemoError, KeyboardInterrupt) as error:
        screen.show(f"the demo stopped: {error or 'interrupted'}")
        screen.show(f"look at {folder}/.mlops/controller.log, and end what runs with: cd {folder} && mlopsctl down")
        sys.exit(1)
    finally:
        stage.stop_traffic()
    screen.show(f"{'Time:':16} {time.monotonic() - began:.0f} s")
    if options.down:
        screen.show(stage.mlopsctl("down"))
    else:
        screen.show(f"It keeps running: look around in {options.folder} with mlopsctl status, events, why, plan.")
        screen.show(f"End it with: {sys.executable} -m controllers.cli.main --project {options.folder} down")
    if stage.tally.failures:
        sys.exit(1)


if __name__ == "__main__":
    main()
