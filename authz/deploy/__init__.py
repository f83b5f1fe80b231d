"""What an installation takes as files: Prometheus rules, a Grafana dashboard, a systemd unit, a container."""
