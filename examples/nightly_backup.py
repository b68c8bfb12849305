"""One backup a night, by one of many hosts: nightly_backup.py NAME ADDRESS STORE JOIN [JOIN …]

    serf event backup 2026-11-25

asks for the backup of a day, from any node's cron. The oldest alive member with the tag `role=db` makes it; if that
one fails before it is done, the next oldest does. The user event `stop` ends it.

⚠ Gossip elects nobody for sure: while a network is parted, or a failure isn't noticed yet, there are two leaders, or
a leader that was asleep and still believes to be one. So the *store* decides. Each attempt takes the next number for
that day (a fencing token), and the store takes a result only under the highest number that was given out. Use
whatever your store has for that: a conditional write, a unique key, a lock with a version. Here it is a folder.
"""

import fcntl
import re
import sys
import time
from pathlib import Path

from serfcompat import Config, EventType, Serf

name, address, store, *join = sys.argv[1:]
CANDIDATE = {"role": "db"}


class Store:
    """A folder with `DAY` for each backup that is done, and `DAY.token` for the attempts."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def has(self, day):
        return (self.folder / day).exists()

    def claim(self, day):
        """The number of a new attempt; all earlier ones are fenced off from now on."""
        with self._locked():
            file = self.folder / f"{day}.token"
            token = int(file.read_text()) + 1 if file.exists() else 1
            file.write_text(str(token))
            return token

    def commit(self, day, token, data):
        """Keep the result; False if a later attempt has begun, or is done."""
        with self._locked():
            if self.has(day) or int((self.folder / f"{day}.token").read_text()) != token:
                return False
            (self.folder / day).write_bytes(data)
            return True

    def _locked(self):
        lock = (self.folder / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        return lock


def make_backup(day):
    """The long work: a dump of the database."""
    time.sleep(0.2)
    return f"backup of {day} by {name}\n".encode()


def back_up(serf, day):
    """Do it, if it is ours to do."""
    if backups.has(day) or (leader := serf.leader(tags=CANDIDATE)) is None or leader.name != name:
        return
    token = backups.claim(day)
    print("attempt", token, "for", day, flush=True)
    kept = backups.commit(day, token, make_backup(day))
    print("kept" if kept else "fenced off:", day, flush=True)


backups = Store(store)
tags = CANDIDATE | {"since": str(time.time())}
with Serf(Config.lan(node_name=name, bind_addr=address, tags=tags)) as serf:
    events = serf.events(["user", "member-failed", "member-leave"])
    serf.join(join)
    print("ready", flush=True)
    wanted = None
    for event in events:
        if event.type is not EventType.USER:
            if wanted:  # perhaps it was the leader that is gone, in the middle of it
                back_up(serf, wanted)
        elif event.name == "stop":
            break
        elif event.name == "backup" and re.fullmatch(rb"\d{4}-\d\d-\d\d", event.payload or b""):
            wanted = event.payload.decode()
            back_up(serf, wanted)
    serf.leave()
