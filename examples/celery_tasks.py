"""Workers that forget a cache together, and drain: celery -A celery_tasks worker -c 4; then `serf event shutdown`"""

import json
import os

from celery import Celery

from serfcompat.contrib.celery import CelerySerf
from serfcompat.contrib.invalidation import Invalidation

app = Celery("tasks", broker=os.environ.get("BROKER", "redis://localhost"))
app.conf.result_backend = os.environ.get("BROKER", "redis://localhost")
# {"node_name": "worker-1", "bind": "10.0.0.1", "retry_join": ["10.0.0.2"]}
serf = CelerySerf(app, json.loads(os.environ.get("SERF", "{}")), drain_delay=1.0)
rates = {}
cache = Invalidation(serf.local, delete=lambda keys: [rates.pop(key, None) for key in keys], clear=rates.clear)


@app.task
def databases():
    """Who has the role now: looked up in this process's memory."""
    return [member.address for member in serf.members(tags={"role": "db"})]


@app.task
def remember(currency, rate):
    rates[currency] = rate
    return os.getpid()


@app.task
def change(currency):
    """Somebody changed a rate in the database: all processes on all hosts shall forget theirs."""
    cache.invalidate(currency)


@app.task
def known():
    return os.getpid(), dict(rates)
