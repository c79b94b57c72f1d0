"""The Grafana dashboards as code, on Grafana's own SDK.

`python -m deploy.grafana.source` writes ../dashboards/*.json; a test says when these no longer agree with the code.
"""
