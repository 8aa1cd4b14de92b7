"""What the exporter costs, on generated data: `python -m benchmarks`. docs/performance.md holds what came out."""
