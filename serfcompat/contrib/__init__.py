"""For web servers and task queues: all workers of a host share one member of the cluster.

    from serfcompat.contrib import local

`local()` is the worker's side, the same in Flask, Django, Celery, gunicorn, uWSGI and plain programs.
"""

from serfcompat.contrib.handlers import Gap, Query
from serfcompat.contrib.local import LocalSerf, configure, local
from serfcompat.contrib.settings import HostSettings

__all__ = ["Gap", "HostSettings", "LocalSerf", "Query", "configure", "local"]
