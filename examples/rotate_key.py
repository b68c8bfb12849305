"""Change the key of an encrypted cluster: rotate_key.py NAME ADDRESS OLD-KEY NEW-KEY JOIN [JOIN …]

Keys are base64, as `serfcompat keygen` prints them. The new key is installed, used, and the old ones
removed, each step only when every member has made the one before; so nobody is locked out. If a
member can't follow, it is named, and running this again goes on.
"""

import base64
import sys

from serfcompat import Config, RotationError, Serf

name, address, old, new, *join = sys.argv[1:]
keys = [base64.b64decode(old), base64.b64decode(new)]
# Both, the old one first: to be understood now, and to go on after an interrupted rotation.
with Serf(Config.lan(node_name=name, bind_addr=address, keyring=keys)) as serf:
    serf.join(join)
    try:
        serf.keys.rotate(new)
        result = serf.keys.list()
        print(f"{result.num_resp} of {result.num_nodes} members use the new key, and no other", flush=True)
    except RotationError as error:
        sys.exit(str(error))
    finally:
        serf.leave()
