"""What mlopsctl decides: specs, kinds, planning, rollouts, drift, and the workloads that run on the cluster."""

__version__ = "0.1.0"
