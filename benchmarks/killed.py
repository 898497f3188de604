"""Kill `mailverdict observe` at random points, run it again on the same input, and compare with one clean run.

    python benchmarks/killed.py                    200 kills, SQLite
    python benchmarks/killed.py --times 20 --store postgresql:///test?host=/tmp/pg

The stores must be empty; PostgreSQL wants two databases: `--store` for the killed runs, `--clean` for the clean one.
What is compared is what people see: the log, the suppressions and the forwards as JSON, byte for byte.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "adapters.cli"]
DOMAINS = ("gmail.com", "outlook.com", "yahoo.com", "gmx.de")
REPLIES = (
    ("250 2.0.0 Queued", "DOT"),
    ("250 2.0.0 Queued", "DOT"),
    ("550 5.1.1 User unknown", "RCPT"),
    ("452 4.2.2 Mailbox full", "RCPT"),
    ("450 4.7.1 Greylisted, try again in 5 minutes", "RCPT"),
    ("421 4.7.0 Too many messages, slow down", "RCPT"),
    ("550 5.7.1 Blocked for poor reputation", "RCPT"),
    ("251 User not local; will forward to <new@elsewhere.example>", "RCPT"),
)


def attempts(count: int, seed: int) -> list[dict[str, Any]]:
    """Lines of a batch: few recipients, so that they meet again."""
    chance = random.Random(seed)  # noqa: S311 - the same each time
    lines = []
    for number in range(count):
        reply, command = chance.choice(REPLIES)
        at = f"2026-03-{1 + number * 27 // count:02}T{number % 24:02}:{number % 60:02}:00Z"
        recipient = f"user{chance.randrange(max(count // 8, 1))}@{DOMAINS[number % len(DOMAINS)]}"
        line = {"reply": reply, "command": command, "recipient": recipient, "sender": "news@ours.example", "now": at}
        lines.append({**line, "attempt_id": f"a{number}", "message_id": f"m{number // 3}"})
    return lines


def write(path: Path, lines: Sequence[dict[str, Any]]) -> Path:
    """Write the lines of a batch."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def observe(store: str, batch: Path) -> subprocess.Popen[bytes]:
    """Start observing a batch."""
    words = [*COMMAND, "observe", "--batch", str(batch), "--store", store]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603


def seen(store: str) -> list[bytes]:
    """What people see of a store."""
    lists = (["log"], ["suppressions", "list", "--all"], ["forwards", "list"])
    shown = []
    for words in lists:
        command = [*COMMAND, *words, "--format", "json", "--store", store]
        shown.append(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)  # noqa: S603
    return shown


def kill(store: str, batch: Path, times: int, seed: int) -> int:
    """Start and kill `times` times, each after some lines or while it starts; return how many were still running."""
    chance = random.Random(seed)  # noqa: S311 - the same each time
    caught = 0
    for _ in range(times):
        process = observe(store, batch)
        assert process.stdout is not None  # noqa: S101 - it was asked for
        lines = chance.choice([0, 0, 1, chance.randrange(1, 200)])
        for _ in range(lines):
            if not process.stdout.readline():
                break
        time.sleep(chance.random() * (0.8 if lines == 0 else 0.05))
        caught += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    return caught


def finish(store: str, *batches: Path) -> None:
    """Run batches to their end, all at once."""
    for process in [observe(store, batch) for batch in batches]:
        process.communicate()
        if process.returncode:
            raise SystemExit(f"observe ended with {process.returncode}")


def main() -> None:
    """Run it and say what came out."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--times", type=int, default=200)
    options.add_argument("--lines", type=int, default=3000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--store", help="an empty store; a new SQLite file by default")
    options.add_argument("--clean", help="another empty store, for the clean run")
    options.add_argument("--four", action="store_true", help="four processes at once, the input split by provider")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        lines = attempts(given.lines, given.seed)
        batch = write(Path(place, "attempts.jsonl"), lines)
        store = given.store or f"sqlite:///{place}/killed.db"
        clean = given.clean or f"sqlite:///{place}/clean.db"
        finish(clean, batch)
        parts = [batch]
        if given.four:
            split = [[line for line in lines if line["recipient"].endswith(domain)] for domain in DOMAINS]
            parts = [write(Path(place, f"part{number}.jsonl"), part) for number, part in enumerate(split)]
        caught = sum(kill(store, part, given.times // len(parts), given.seed) for part in parts)
        finish(store, *parts)
        same = seen(store) == seen(clean)
    print(f"{given.times} kills, {caught} while running: {'the same' if same else 'NOT the same'} as one clean run")
    sys.exit(not same)


if __name__ == "__main__":
    main()
