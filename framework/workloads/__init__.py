"""What runs on the cluster: inside Ray jobs and Serve replicas. Knows nothing of kinds, planning and backends."""
