"""The interactive session in the browser."""
