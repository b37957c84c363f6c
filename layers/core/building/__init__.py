"""Builds the layer. Runs where `sam build` runs, and is not a part of what it builds."""
