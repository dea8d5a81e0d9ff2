"""Evidence: scores, exact inference, benchmarks. Never imports lcpfn.train."""
