"""Turns an upload into a served model, and an approval into a deployment."""
