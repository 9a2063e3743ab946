"""What happened over time, for charts: throughput, latency and failures by queue."""
