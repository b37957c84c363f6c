"""In-memory stand-ins for the ports. They pass the contract tests that the real adapters pass."""
