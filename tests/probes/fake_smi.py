#!/usr/bin/env python3
"""A stand-in for nvidia-smi. What it says is in `machine.json` beside it, read again for each moment.

Modes: `wedge` (says nothing and does not end), `dies` (exit 9 after `after` moments), `buffered` (keeps
its lines to itself unless stdbuf asks otherwise), `never` (keeps them whatever is asked), `once` (ignores
-l), `garbage`, `endless` (a line that does not end), `mute` (exit 0 without a word), `fails` (exit 9 and
`text`), `old` (knows clocks_throttle_reasons alone, and no field of `unknown`), `unopened` (cannot open the
cards with `lost`, and then tells of none). A card with `line` is told by that line.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
OLD = {"clocks_throttle_reasons.active": "clocks_event_reasons.active"}


def machine():
    return json.loads((HERE / "machine.json").read_text())


def log(text):
    with (HERE / "log").open("a") as file:
        file.write(f"{os.getpid()} {text}\n")


def option(name):
    found = [a for a in sys.argv[1:] if a.startswith(name)]
    return found[0].partition("=")[2] if found else None


def every_s():
    for flag, per_s in (("-l", 1), ("-lms", 1000)):
        if flag in sys.argv:
            return int(sys.argv[sys.argv.index(flag) + 1]) / per_s
    return None


def fail(text, code):
    print(text)
    sys.exit(code)


def wedge():
    log("wedged")
    while True:
        signal.pause()


def rows(now, fields):
    known = set(now["cards"][0]) - set(now.get("unknown", ()))
    if now["mode"] == "old":
        known = {{v: k for k, v in OLD.items()}.get(f, f) for f in known}
    for field in fields:
        if field not in known:
            fail(f'Field "{field}" is not a valid field to query.', 2)
    told = [c for c in now["cards"] if "lost" in c and now["mode"] == "unopened" and asked_for(c)]
    for card in told:
        bus = card["pci.bus_id"][4:]
        fail(f"Unable to determine the device handle for GPU{bus}: {card['lost']}.", 15)
    return [
        card.get("line") or ", ".join(card[OLD.get(f, f)] for f in fields)
        for card in now["cards"]
        if asked_for(card)
    ]


def asked_for(card):
    return "-i" not in sys.argv or card["uuid"] in sys.argv[sys.argv.index("-i") + 1].split(",")


def names(cards):
    for card in cards:
        print(f"GPU {card['index']}: {card['name']} (UUID: {card['uuid']})")


def gpus(fields):
    pause, moment = every_s(), 0
    while True:
        now = machine()
        mode, moment = now["mode"], moment + 1
        if mode == "wedge":
            wedge()
        if mode == "dies" and moment > now["after"]:
            fail("Unable to determine the device handle for GPU0000:01:00.0: GPU is lost.", 15)
        if mode == "fails":
            fail(now["text"], 9)
        if mode == "mute":
            sys.exit(0)
        if mode == "endless":
            sys.stdout.write("x" * 100000)
        elif mode == "garbage":
            print(now["text"])
        else:
            for row in rows(now, fields):
                print(row)
        loops = pause is not None and mode != "once"
        held = mode == "never" or (mode == "buffered" and os.environ.get("_STDBUF_O") != "L")
        if not (loops and held):
            sys.stdout.flush()
        if not loops:
            sys.exit(0)
        log("moment")
        time.sleep(pause)


def main():
    log(" ".join(sys.argv[1:]) + (" unbuffered" if os.environ.get("_STDBUF_O") == "L" else ""))
    if machine().get("greeting"):
        print(machine()["greeting"], flush=True)
    if fields := option("--query-gpu"):
        gpus(fields.split(","))
    if option("--query-compute-apps"):
        print(machine()["processes"], end="")
    elif "-L" in sys.argv:
        names([card for card in machine()["cards"] if "lost" not in card])
    elif "-q" in sys.argv:
        print(machine()["limits"], end="")


if __name__ == "__main__":
    main()
