"""Work queue, back-off and leases."""
