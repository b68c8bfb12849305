"""Who is in the cluster, and what it was told: gunicorn -c python:serfcompat.contrib.gunicorn -w 4 flask_page:app"""

from flask import Flask

from serfcompat.contrib.flask import FlaskSerf

app = Flask(__name__)
app.config.from_prefixed_env()  # FLASK_SERF_NODE_NAME=web-1, FLASK_SERF_RETRY_JOIN='["10.0.0.2"]' and the like
serf = FlaskSerf(app)
deployed = []


@serf.on("deploy")  # as in `serf event deploy v2`, typed on any node of the cluster
def on_deploy(event):
    deployed.append(event.payload.decode())


@app.get("/")
def page():
    lines = [f"{member.name} {member.address} {member.status}" for member in serf.members(status=None)]
    return "\n".join([*lines, f"deployed: {', '.join(deployed)}"]), {"Content-Type": "text/plain; charset=utf-8"}
