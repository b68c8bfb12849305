"""Find a service by its tag, in a web app: gunicorn -c python:serfcompat.contrib.gunicorn -w 4 flask_discovery:app"""

import json
import os
import random
import urllib.request

from flask import Flask, abort

from serfcompat.contrib.flask import FlaskSerf

app = Flask(__name__)
app.config.from_prefixed_env()  # FLASK_SERF_NODE_NAME=web-1, FLASK_SERF_TAGS='{"price": "http://10.0.0.1:8000"}' …
serf = FlaskSerf(app)


@app.get("/price")
def price():
    """What a host with the service answers; its tag says where."""
    return json.dumps({"price": 42, "by": os.environ.get("NAME", "")})


@app.get("/shop")
def shop():
    """Ask one of those that have the service now. The look-up costs microseconds and no I/O: do it each time."""
    hosts = serf.members(tags={"price": "http://.+"})
    hosts = [host for host in hosts if "draining" not in host.tags]
    random.shuffle(hosts)
    for host in hosts:
        try:
            with urllib.request.urlopen(host.tags["price"] + "/price", timeout=2) as answer:
                return json.loads(answer.read())
        except OSError:
            continue  # it died a moment ago, and nobody knows yet: ask the next one
    return abort(503, "nobody has prices")
