"""The bytes of the specifications' appendices."""

from __future__ import annotations

from pathlib import Path

GOLDEN = {
    name: bytes.fromhex(hex_)
    for name, hex_ in (
        line.split()
        for line in (Path(__file__).parent / "golden.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    )
}
"By id, `GV-01` of spec memberlist or `A-1` of spec serf: whole messages as Go printed them."
