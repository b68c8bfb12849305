"""Run a program for each member that failed: auto_heal.py NAME ADDRESS GRACE PROGRAM JOIN [JOIN …]

Start it on several hosts. PROGRAM gets the name and the address of the failed member, and is run on one host
only: that of the oldest of them (`Serf.leader`). It is not run for a member that is back within GRACE seconds, nor
for one that left on purpose, nor while most members don't answer: then it is probably us who are cut off.
The user event `stop` ends it.
"""

import subprocess
import sys
import time

from serfcompat import Config, EventType, MemberStatus, Serf

name, address, grace, program, *join = sys.argv[1:]
grace = float(grace)
HEALER = {"role": "healer"}


def heal(serf, lost):
    """Run the program; whether that is settled."""
    if serf.leader(tags=HEALER).name != name:
        return False
    members = [member for member in serf.members() if member.status is not MemberStatus.LEFT]
    # Asked, not looked up: members that fail together are noticed one after the other.
    answered = set(serf.query("are-you-there", request_ack=True, timeout=2.0).acks())
    if 2 * len(answered) <= len(members):
        print("most members don't answer: not healing", lost, flush=True)
        return False
    member = next((member for member in members if member.name == lost), None)
    if member is None or member.status is not MemberStatus.FAILED:
        return True
    done = subprocess.run([program, member.name, member.addr], check=False)
    print("healed" if done.returncode == 0 else "could not heal", lost, flush=True)
    serf.user_event("healed", lost.encode())  # or the next leader would do it again
    return True


tags = HEALER | {"since": str(time.time())}
with Serf(Config.lan(node_name=name, bind_addr=address, tags=tags)) as serf:
    events = serf.events(["member", "user"])
    serf.join(join)
    print("watching", len(serf.members()), "members", flush=True)
    due = {}  # name → when to act
    while True:
        wait = min(due.values()) - time.monotonic() if due else None
        try:
            event = events.get(wait if wait is None else max(0.0, wait))
        except TimeoutError:
            for lost in [lost for lost, at in due.items() if at <= time.monotonic()]:
                if heal(serf, lost):
                    due.pop(lost, None)
                else:
                    due[lost] = time.monotonic() + grace  # the leader may fail as well: look again
            continue
        if event.type is EventType.MEMBER_FAILED:
            due |= {member.name: time.monotonic() + grace for member in event.members}
        elif event.type is EventType.USER:
            if event.name == "stop":
                break
            if event.name == "healed" and event.payload:
                due.pop(event.payload.decode(errors="replace"), None)
        else:  # back, left or forgotten
            for member in event.members:
                due.pop(member.name, None)
    serf.leave()
