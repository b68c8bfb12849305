"""The rules that `make mutants` breaks. Add one when a rule is worth a comment in the code."""

from __future__ import annotations

from tests.mutants.mutant import Mutant
from tests.sim.seeded_bugs import BUGS

WIRE = "serfcompat/wire"
SWIM = "serfcompat/swim"
SERF = "serfcompat/serf"

MUTANTS = [
    # -- wire ----------------------------------------------------------------------------------
    Mutant(
        "compounds are split at 255 parts",
        f"{WIRE}/packet.py",
        "range(0, len(messages), MAX_PARTS)",
        "range(0, len(messages), MAX_PARTS + 1)",
    ),
    Mutant(
        "a payload that compression would make longer is sent as it is",
        f"{WIRE}/compress.py",
        "return message if len(message) < len(payload) else None",
        "return message",
    ),
    Mutant("the CRC covers the payload", f"{WIRE}/packet.py", "if crc32(payload) != expected:", "if expected < 0:"),
    Mutant(
        "plaintext is refused when incoming packets must be encrypted",
        f"{WIRE}/packet.py",
        "if layers.verify_incoming:",
        "if not layers.verify_incoming:",
    ),
    Mutant(
        "missing parts of a cut compound are counted",
        f"{WIRE}/packet.py",
        "{count - len(parts)}",
        "{count - len(parts) - 1}",
    ),
    Mutant(
        "nesting is bounded",
        f"{WIRE}/packet.py",
        "elif depth == MAX_DEPTH:",
        "elif depth > 100 * MAX_DEPTH:",
    ),
    Mutant(
        "a whole block is padded with one more (M-108)",
        f"{WIRE}/security.py",
        "padding = _BLOCK - len(plaintext) % _BLOCK\n",
        "padding = -len(plaintext) % _BLOCK\n",
    ),
    Mutant(
        "any installed key decrypts, not only the primary one",
        f"{WIRE}/security.py",
        "for key in keys:",
        "for key in keys[:1]:",
    ),
    Mutant(
        "envelopes of future versions are refused",
        f"{WIRE}/security.py",
        "if version > _LATEST:",
        "if version > _LATEST + 1:",
        tests=["tests/wire/test_security.py", "tests/vectors/test_packets.py"],
    ),
    Mutant(
        "padding longer than the plaintext is refused (defect B-2)",
        f"{WIRE}/security.py",
        "if padding > len(padded):",
        "if padding > len(padded) + 256:",
    ),
    Mutant("an empty label header is malformed", f"{WIRE}/label.py", "packet[1] == 0 or", "packet[1] < 0 or"),
    Mutant(
        "the label is authenticated with the stream",
        f"{WIRE}/stream.py",
        "aad = bytes((MessageType.ENCRYPT,)) + length + layers.label",
        "aad = bytes((MessageType.ENCRYPT,)) + length",
        tests=["tests/wire/test_stream.py", "tests/vectors/test_streams.py"],
    ),
    Mutant(
        "signed numbers over 127 take two bytes at least (profile B)",
        f"{WIRE}/gomsgpack.py",
        "if -32 <= value < 128:",
        "if -32 <= value < 64:",
    ),
    Mutant(
        "unsigned numbers are written in the shortest form",
        f"{WIRE}/gomsgpack.py",
        "if value < 1 << 8:",
        "if value < 1 << 7:",
        tests=["tests/wire/test_gomsgpack.py", "tests/vectors/test_messages.py"],
    ),
    Mutant(
        "text of 32 bytes needs the longer form",
        f"{WIRE}/gomsgpack.py",
        "if size < 32:",
        "if size < 31:",
    ),
    Mutant(
        "a nil byte string isn't an empty one",
        f"{WIRE}/gomsgpack.py",
        "return NIL if value is None else write_text(value)",
        'return write_text(value or b"")',
        tests=["tests/wire/test_gomsgpack.py", "tests/vectors/test_messages.py"],
    ),
    Mutant(
        "LZW: a full table is cleared at once",
        f"{WIRE}/lzw.py",
        "if full := len(codes) == len(_NEW_CODES):",
        "if full := len(codes) == len(_NEW_CODES) and prefix is not None:",
        tests=["tests/wire/test_lzw.py", "tests/vectors/test_lzw.py"],
    ),
    Mutant("LZW: output is bounded", f"{WIRE}/lzw.py", "if size > limit:", "if size > 2 * limit:"),
    # -- swim ----------------------------------------------------------------------------------
    Mutant(
        "an alive claim must be newer (AL10)",
        f"{SWIM}/claims.py",
        "claim.incarnation <= node.incarnation:  # AL10",
        "claim.incarnation < node.incarnation:  # AL10",
    ),
    Mutant(
        "a suspicion of an older life is stale (SU2)",
        f"{SWIM}/claims.py",
        "if node is None or claim.incarnation < node.incarnation:  # SU1, SU2",
        "if node is None:",
    ),
    Mutant(
        "a death notice of an older life is stale (DE2)",
        f"{SWIM}/claims.py",
        "if node is None or claim.incarnation < node.incarnation:  # DE1, DE2",
        "if node is None:",
    ),
    Mutant(
        "a suspected node refutes (SU5)",
        f"{SWIM}/claims.py",
        'about us, from %s", text(claim.from_))\n        refute(table, claim.incarnation)\n        return []\n',
        'about us, from %s", text(claim.from_))\n        return []\n',
    ),
    Mutant(
        "a refutation outbids the accusation",
        f"{SWIM}/table.py",
        "if above >= self.incarnation:",
        "if above > self.incarnation:",
        tests=["tests/swim/test_table.py", "tests/swim/test_claims.py", "tests/swim/test_accusations.py"],
    ),
    Mutant(
        "a node that leaves does not refute its death (DE5)",
        f"{SWIM}/claims.py",
        "if claim.node == table.me and not table.leaving:  # DE5",
        "if claim.node == table.me:",
    ),
    Mutant(
        "dead by its own word means left (DE8)",
        f"{SWIM}/claims.py",
        "NodeState.LEFT if claim.from_ == claim.node else NodeState.DEAD",
        "NodeState.DEAD",
    ),
    Mutant(
        "an address may only be taken over from one that is gone (AL8)",
        f"{SWIM}/claims.py",
        "limit > 0 and now_ns - node.state_change_ns > limit",
        "now_ns - node.state_change_ns > limit",
    ),
    Mutant(
        "each accuser counts once",
        f"{SWIM}/suspicion.py",
        "if self.confirmations >= self.k or accuser in self._seen:",
        "if self.confirmations >= self.k:",
    ),
    Mutant(
        "small clusters wait for no confirmations (M-149)",
        f"{SWIM}/suspicion.py",
        "return 0 if nodes - 2 < wanted else wanted",
        "return wanted",
    ),
    Mutant(
        "suspicion grows with the cluster",
        f"{SWIM}/suspicion.py",
        "scale = max(1.0, math.log10(max(1.0, nodes)))",
        "scale = max(1.0, math.log(max(1.0, nodes)))",
    ),
    Mutant("the health score is bounded", f"{SWIM}/awareness.py", "self._max - 1)", "self._max)"),
    Mutant(
        "a missing nack costs health",
        f"{SWIM}/probe.py",
        "max(0, probe.nacks_expected - probe.nacks)",
        "max(0, probe.nacks_expected - probe.nacks - 1)",
    ),
    Mutant(
        "a suspect hears of it in the ping",
        f"{SWIM}/probe.py",
        "self.sender.together([ping.encode(), suspect.encode()], node, probe=ping.seq_no)",
        "self.sender.together([ping.encode()], node, probe=ping.seq_no)",
    ),
    Mutant(
        "one that answers over TCP is not suspected",
        f"{SWIM}/probe.py",
        "        if probe.tcp:\n",
        "        if probe.tcp and probe.nacks:\n",
    ),
    Mutant(
        "a relayed ack carries no payload (M-165)",
        f"{SWIM}/relay.py",
        "ack = Ack(waiting.seq_no, None).encode()",
        'ack = Ack(waiting.seq_no, b"").encode()',
    ),
    Mutant(
        "what was sent least goes first",
        f"{SWIM}/queue.py",
        "for transmits in sorted(self._tiers):",
        "for transmits in sorted(self._tiers, reverse=True):",
    ),
    Mutant(
        "a message is sent a limited number of times (M-194)",
        f"{SWIM}/queue.py",
        "if item.transmits + 1 >= limit_tx:",
        "if item.transmits >= limit_tx:",
    ),
    Mutant(
        "a newer claim about a node replaces the older one",
        f"{SWIM}/queue.py",
        "            if replaced := self._named.get(name):\n                self._remove(replaced)\n",
        "            if replaced := self._named.get(name):\n",
    ),
    Mutant(
        "piggyback leaves room for encryption (M-014)",
        f"{SWIM}/sender.py",
        "room -= encryption_overhead(layers.encryption_version)",
        "room -= 0",
    ),
    Mutant(
        "the dead hear gossip for a while",
        f"{SWIM}/gossip.py",
        "return node.state is not NodeState.DEAD or recent",
        "return node.state is not NodeState.DEAD",
    ),
    Mutant(
        "push/pull slows down above 32 nodes (M-174)",
        f"{SWIM}/pushpull.py",
        "if nodes <= _SCALE_FROM:",
        "if nodes <= 2 * _SCALE_FROM:",
    ),
    Mutant(
        "the dead of another's table are only suspected (M-176)",
        f"{SWIM}/pushpull.py",
        "return on_suspect(table, Suspect(node.incarnation, node=node.name, from_=table.me), now_ns)",
        "return on_dead(table, Dead(node.incarnation, node=node.name, from_=table.me), now_ns)",
    ),
    # -- serf ----------------------------------------------------------------------------------
    Mutant(
        "a Lamport clock runs ahead of what it hears",
        f"{SERF}/lamport.py",
        "self.time = time + 1",
        "self.time = time",
    ),
    Mutant(
        "an intent must be newer than the last one (J2)",
        f"{SERF}/intents.py",
        "if intent.ltime <= entry.status_ltime:  # J2",
        "if intent.ltime < entry.status_ltime:",
    ),
    Mutant(
        "a leave intent of an earlier life is refuted (L3)",
        f"{SERF}/intents.py",
        'leave intent")\n        refute(core, intent.ltime, now_ns)\n',
        'leave intent")\n',
    ),
    Mutant(
        "a failed member is declared left (L5)",
        f"{SERF}/intents.py",
        "            members.become(entry, MemberStatus.LEFT)\n            swap_out",
        "            swap_out",
    ),
    Mutant(
        "a member that leaves is left, not failed",
        f"{SERF}/membership.py",
        "            members.become(entry, MemberStatus.LEFT)\n            members.left.append(entry)",
        "            members.become(entry, MemberStatus.FAILED)\n            members.left.append(entry)",
    ),
    Mutant(
        "a user event is delivered once",
        f"{SERF}/user_events.py",
        "    if ring.knows(message.ltime, key):\n        return False\n",
        "",
        tests=["tests/serf/test_user_events.py"],
    ),
    Mutant(
        "events from before a join that ignores old ones stay away",
        f"{SERF}/user_events.py",
        "if message.ltime < core.event_min_time or",
        "if",
        tests=["tests/serf/test_user_events.py", "tests/serf/test_push_pull.py"],
    ),
    Mutant(
        "the ring forgets what is too old",
        f"{SERF}/ltime_ring.py",
        "return clock > size and ltime < clock - size",
        "return clock > size and ltime <= clock - size",
    ),
    Mutant(
        "a query that must not be passed on isn't",
        f"{SERF}/queries.py",
        "pass_on = not message.flags & _NO_BROADCAST",
        "pass_on = True",
    ),
    Mutant(
        "a query is answered once",
        f"{SERF}/responses.py",
        "    core.running.set_answered(key)",
        "    core.running.answered(key)",
    ),
    Mutant(
        "we are no relay of our own answers",
        f"{SERF}/responses.py",
        "            and member.name != core.me\n",
        "",
    ),
    Mutant(
        "a tag that is missing counts as empty",
        f"{SERF}/filters.py",
        'value = tags.get(text(tag.tag), "")',
        'value = tags.get(text(tag.tag), "none")',
    ),
    Mutant(
        "who left elsewhere is newer here by one (since 0.8.2)",
        f"{SERF}/push_pull.py",
        "min(status_ltimes.get(name, 0) + 1, LTIME_MAX)",
        "min(status_ltimes.get(name, 0), LTIME_MAX)",
    ),
    Mutant(
        "a clock's present value has not been used yet",
        f"{SERF}/push_pull.py",
        "clock.witness(time - 1)",
        "clock.witness(time)",
    ),
    Mutant(
        "only what changed is told after coalescing",
        f"{SERF}/coalesce.py",
        "if self._told.get(name) != type or type is EventType.MEMBER_UPDATE:",
        "if True:",
    ),
    Mutant(
        "of coalesced user events only the newest are kept",
        f"{SERF}/coalesce.py",
        "if newest is None or newest[0].ltime < event.ltime:",
        "if newest is None or newest[0].ltime > event.ltime:",
    ),
]

# -- faults that whole simulated clusters show, under the laws of serfcompat.sim ------------------
_known = {(mutant.file, mutant.right) for mutant in MUTANTS}
for _bug in BUGS:
    _file = _bug.module.replace(".", "/") + ".py"
    if (_file, _bug.text) not in _known:
        _known.add((_file, _bug.text))
        MUTANTS.append(
            Mutant(
                f"not so that {_bug.name}",
                _file,
                _bug.text,
                _bug.instead,
                tests=["tests/sim/test_telling_plans.py"],
            )
        )
